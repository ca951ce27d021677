//! The backward pass: steps → Rust.
//!
//! In: the steps of `reverse`, in order. Out: statements that write or add to adjoints: buffers of the workspace, the caller's, or in
//! a step of gradient descent the parameters themselves. A buffer is fitted where it is first written.

use super::*;

/// A backward pass: all of its steps, whether the upstream gradient is 1, and how each result's is reached.
pub struct Back<'a> {
    pub all: &'a [Step],
    pub unit: bool,
    pub results: &'a [TokenStream],
}

impl Emit<'_> {
    /// The adjoint of a value, to be written: a mutable view.
    pub fn place(&self, v: V) -> TokenStream {
        let (at, views) = base(self.g, v);
        let d = adjoint(at);
        let forms = views.iter().map(|v| &v.form);
        if let (Ty::List(_), Some((k, _))) = (self.g.value(at).ty, views.split_first()) {
            let (k, forms) = (&k.form, forms.skip(1));
            return quote!(#d[#k].view_mut() #(#forms)*);
        }
        quote!(#d.view_mut() #(#forms)*)
    }

    /// Makes room for an adjoint, unless it is the caller's buffer.
    pub fn start(&self, v: V, started: &mut BTreeSet<V>) -> TokenStream {
        let (at, _) = base(self.g, v);
        if !started.insert(at) {
            return TokenStream::new();
        }
        let (d, n) = (adjoint(at), self.dim_of(at));
        match (&self.g.value(at).op, &*self.moved.borrow()) {
            (Op::Param(_), None) => return TokenStream::new(),
            (Op::Param(k), Some(these)) if these.contains(&at) => {
                let parameter = scalar_buffer(*k);
                return quote!(let #d = &mut *#parameter;);
            }
            _ => {}
        }
        let slot = self.slot(&d, self.g.rank(at));
        quote!(let #d = ::backprop::tensor::fit(#slot, &#n);)
    }

    pub fn scalar_add(&self, v: V, value: TokenStream, add: bool) -> TokenStream {
        let d = adjoint(v);
        if add {
            quote!(let #d = #d + #value;)
        } else {
            quote!(let #d = #value;)
        }
    }

    /// The backward pass; `unit` where the upstream gradient is 1, `results` how each result's is reached.
    pub fn backward(&self, steps: &[Step], unit: bool, results: &[TokenStream]) -> TokenStream {
        let back = Back {
            all: steps,
            unit,
            results,
        };
        let out = self.steps(steps, &back, &mut BTreeSet::new());
        let floats = self.floats_back();
        quote!(#out #floats)
    }

    /// Some steps of a backward pass.
    pub fn steps(&self, steps: &[Step], back: &Back, started: &mut BTreeSet<V>) -> TokenStream {
        let mut out = TokenStream::new();
        for step in steps {
            if let Step::Seed { of, result, .. } = step
                && self.only_seeded(*of, back.all)
            {
                // Nothing is added to it: it is read where it is.
                let (d, n, from) = (adjoint(*of), self.dim_of(*of), &back.results[*result]);
                started.insert(*of);
                out.extend(quote!(let #d = ::backprop::tensor::seeded(&#from, &#n);));
                continue;
            }
            out.extend(self.step(step, back.unit, back.results, started));
        }
        out
    }

    /// What the parameters that are floats get.
    pub fn floats_back(&self) -> TokenStream {
        let mut out = TokenStream::new();
        for (k, p) in self.sig.active() {
            if matches!(p.kind, Kind::Scalar) {
                let v = V(k as u32);
                let at = self
                    .g
                    .values
                    .iter()
                    .position(|x| matches!(x.op, Op::Param(j) if j == k));
                let v = at.map_or(v, |at| V(at as u32));
                let (d, b) = (adjoint(v), scalar_buffer(k));
                out.extend(quote!(*#b = *#b + #d;));
            }
        }
        out
    }

    /// Whether a tensor's adjoint is its upstream gradient and nothing else.
    fn only_seeded(&self, v: V, steps: &[Step]) -> bool {
        let computed = !matches!(
            self.g.value(v).op,
            Op::Param(_) | Op::View(..) | Op::Item(..) | Op::After { .. }
        );
        let mut writes = steps.iter().filter(|s| self.writes(s, v));
        computed
            && self.g.is_tensor(v)
            && matches!(
                (writes.next(), writes.next()),
                (Some(Step::Seed { .. }), None)
            )
    }

    /// Whether a step writes to the adjoint of a value, or adds to it.
    pub fn writes(&self, step: &Step, v: V) -> bool {
        let written = |o: V| base(self.g, o).0 == v;
        match step {
            Step::Zero(o) | Step::Clear(o) | Step::Seed { of: o, .. } => written(*o),
            Step::Collected { item, .. } => *item == v,
            Step::Map { targets, .. } => targets.iter().any(|t| written(led(self.g, t.0))),
            Step::Linear { of, position, .. } => {
                let operands = self.g.value(*of).op.operands();
                operands.get(*position).is_some_and(|o| written(*o))
            }
            Step::Lanes(of) => self.g.value(*of).op.operands().into_iter().any(written),
            Step::Call { adds, .. } => adds.iter().any(|a| written(a.0)),
            Step::Idiom { of, .. } => match &self.g.value(*of).op {
                Op::Idiom { of, .. } | Op::Normal(Normal { of, .. }) => written(*of),
                _ => false,
            },
            // A loop reads the adjoints of what it hands on, and adds to others in its body.
            Step::Loop { .. } => true,
            Step::Init { of, carried, .. } => written(self.g.loops[*of].carried[*carried].init),
        }
    }

    /// The parameters that a backward pass may add their gradients to: once it has begun to, nothing reads them any more.
    pub fn in_place(&self, lines: &[Line], steps: &[Step]) -> BTreeSet<V> {
        let mut started = BTreeSet::new();
        let reached = vec![TokenStream::new(); steps.len()];
        let reads: Vec<BTreeSet<String>> = steps
            .iter()
            .map(|s| mentioned(&self.step(s, true, &reached, &mut started)))
            .collect();
        let whole = |(k, value): (usize, &Value)| match value.op {
            Op::Param(p) if value.active && self.g.is_tensor(V(k as u32)) => {
                Some((V(k as u32), &self.sig.params[p].ident))
            }
            _ => None,
        };
        let params = self.g.values.iter().enumerate().filter_map(whole);
        params
            .filter(|(v, ident)| {
                // Its own names, and those of what may borrow from it.
                let mut names = BTreeSet::from([ident.to_string(), tensor_name(*v).to_string()]);
                for line in lines.iter().filter(|l| l.again == Again::Pure) {
                    if !mentioned(&line.tokens).is_disjoint(&names) {
                        names.extend(line.names.iter().cloned());
                    }
                }
                let first = steps.iter().position(|s| self.writes(s, *v));
                first.is_none_or(|first| reads[first..].iter().all(|r| r.is_disjoint(&names)))
            })
            .map(|(v, _)| v)
            .collect()
    }

    pub fn step(
        &self,
        step: &Step,
        unit: bool,
        results: &[TokenStream],
        started: &mut BTreeSet<V>,
    ) -> TokenStream {
        match step {
            Step::Zero(v) => {
                let zero = self.zero();
                if let Ty::List(_) = self.g.value(*v).ty {
                    let d = adjoint(*v);
                    return quote! {
                        for __each in #d.iter_mut() {
                            ::backprop::tensor::fill(#zero, __each.view_mut(), false);
                        }
                    };
                }
                if !self.g.is_tensor(*v) {
                    return self.scalar_add(*v, zero, false);
                }
                let (start, place) = (self.start(*v, started), self.place(*v));
                quote!(#start ::backprop::tensor::fill(#zero, #place, false);)
            }
            Step::Seed { of, result, add } => {
                if !self.g.is_tensor(*of) {
                    let seed = if unit {
                        self.one()
                    } else {
                        results[*result].clone()
                    };
                    return self.scalar_add(*of, seed, *add);
                }
                let (start, place, from) =
                    (self.start(*of, started), self.place(*of), &results[*result]);
                quote!(#start ::backprop::tensor::seed(#from.view(), #place, #add);)
            }
            Step::Clear(v) => {
                let d = adjoint(self.g.place(*v));
                transpose::cleared(&self.g.value(*v).op, &self.mutable(d), &self.zero())
            }
            Step::Linear { of, position, add } => {
                let op = &self.g.value(*of).op;
                let Some(&to) = op.operands().get(*position) else {
                    return TokenStream::new();
                };
                let d = adjoint(self.g.place(*of));
                let d = if self.g.is_tensor(*of) {
                    quote!(#d.view())
                } else {
                    quote!(#d)
                };
                if !self.g.is_tensor(to) {
                    let value = self.spelling(Some(*of), |s| {
                        transpose::transposed(op, *position, s, &d, &TokenStream::new(), *add)
                    });
                    return self.scalar_add(to, value, *add);
                }
                let start = self.start(to, started);
                let place = self.place(to);
                let call = self.spelling(Some(*of), |s| {
                    transpose::transposed(op, *position, s, &d, &place, *add)
                });
                quote!(#start #call)
            }
            Step::Collected { of, item, add } => {
                let Op::Collected { of: id, .. } = self.g.value(*of).op else {
                    return TokenStream::new();
                };
                let (d, k) = (adjoint(*of), iteration(id));
                let value = quote!(::backprop::tensor::nth(&#d.view(), #k));
                self.scalar_add(*item, value, *add)
            }
            Step::Lanes(v) => self.lanes_back(*v),
            Step::Loop { of, body, floats } => self.run_back(*of, body, floats, started),
            Step::Init { of, carried, add } => {
                let c = self.g.loops[*of].carried[*carried];
                let d = adjoint(c.after);
                if !self.g.is_tensor(c.init) {
                    return self.scalar_add(c.init, quote!(#d), *add);
                }
                let (start, place) = (self.start(c.init, started), self.place(c.init));
                quote!(#start ::backprop::tensor::copy(#d.view(), #place, #add);)
            }
            Step::Call { of, adds } => self.call_back(*of, adds, started),
            Step::Idiom { of: v, add } => {
                if let Op::Normal(normal) = &self.g.value(*v).op {
                    let (start, place) = (self.start(normal.of, started), self.place(normal.of));
                    let (of, d) = (self.operand(normal.of), adjoint(*v).to_token_stream());
                    let kept = [0, 1].map(|k| residual(*v, k));
                    let uniform = |u: &Uniform| self.uniform(u);
                    let call = normal.backward(&of, uniform, &kept, [&d, &place], *add);
                    return quote!(#start #call);
                }
                let Op::Idiom { idiom, of, .. } = &self.g.value(*v).op else {
                    return TokenStream::new();
                };
                let (start, place) = (self.start(*of, started), self.place(*of));
                let (y, d) = (
                    tensor_name(*v).to_token_stream(),
                    adjoint(*v).to_token_stream(),
                );
                let call = self.lane(*v, |l| idiom.backward(l, &y, &d, &place, *add));
                quote!(#start #call)
            }
            Step::Map {
                of,
                upstream,
                targets,
            } => self.map_back(*of, upstream, targets, started),
        }
    }

    fn mutable(&self, d: Ident) -> TokenStream {
        quote!(#d.view_mut())
    }

    fn lanes_back(&self, v: V) -> TokenStream {
        let Op::Lanes {
            of,
            axis,
            function,
            scalars,
        } = &self.g.value(v).op
        else {
            return TokenStream::new();
        };
        let t = self.sig.elem.tokens();
        let zero = self.zero();
        let sums: Vec<Ident> = (0..scalars.len())
            .map(|k| format_ident!("__g{}", k))
            .collect();
        let row = format_ident!("__d_row");
        let args = scalars.iter().map(|s| scalar_name(*s));
        let call = quote! {
            |__row: &[#t], __up: #t, #row: &mut [#t]| {
                #function::accumulate(__row, #(#args,)* __up, #row, #(&mut #sums),*);
            }
        };
        let d = adjoint(v);
        let source = self.operand(*of);
        let to = if self.g.active(*of) {
            let place = self.place(*of);
            quote!(::core::option::Option::Some(#place))
        } else {
            quote!(::core::option::Option::None)
        };
        let run = match axis {
            Some(axis) => {
                quote!(::backprop::tensor::lanes_back(#source, #axis, #d.view(), #to, #call);)
            }
            None => quote!(::backprop::tensor::all_back(#source, #d, #to, #call);),
        };
        let adds = scalars
            .iter()
            .zip(&sums)
            .filter(|(s, _)| self.g.active(**s))
            .map(|(s, sum)| self.scalar_add(*s, quote!(#sum), true));
        quote! {
            #(let mut #sums: #t = #zero;)*
            #run
            #(#adds)*
        }
    }
}
