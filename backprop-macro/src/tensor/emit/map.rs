//! Maps: one pass over memory each, forward and backward.
//!
//! In: a `Map` and the code of one element, which the scalar compiler has made. Out: a call of `kernel::map` with the tensors
//! that the element reads and writes. A map that is only summed is not stored, unless its backward pass reads it.

use super::*;

impl Emit<'_> {
    pub fn map(&self, v: V) -> Vec<Line> {
        let Some(code) = self.codes.get(&v) else {
            return Vec::new();
        };
        let operands = self.g.value(v).op.operands();
        let (body, result) = (&code.forward, &code.result);
        let used = mentioned(&quote!(#body #result));
        let scalars = self.scalar_operands(&operands, &used);
        let residuals: Vec<Ident> = (0..code.residuals.len()).map(|k| residual(v, k)).collect();
        let inner = &code.kept;
        let Ty::Tensor(rank, dim) = self.g.value(v).ty else {
            let s = scalar_name(v);
            self.hold(&s, Held::Scalar);
            let mut names = vec![s.to_string()];
            for r in &residuals {
                self.hold(r, Held::Scalar);
                names.push(r.to_string());
            }
            let t = self.sig.elem.tokens();
            let types = std::iter::repeat_n(&t, names.len());
            return vec![Line {
                names,
                tokens: quote!(let (#s, #(#residuals,)*): (#(#types,)*) = { #scalars #body (#result, #(#inner,)*) };),
                again: Again::Keep,
            }];
        };
        let n = dim_name(dim);
        let t = tensor_name(v);
        let summed = self.summed.get(&v);
        let mut starts = TokenStream::new();
        let mut ends = TokenStream::new();
        let (mut outs, mut values, mut names) = (Vec::new(), Vec::new(), Vec::new());
        if summed.is_none() || code.result_name.is_some() {
            outs.push(t.clone());
            values.push(result.clone());
        }
        for (r, i) in residuals.iter().zip(inner) {
            outs.push(r.clone());
            values.push(i.clone());
        }
        for o in &outs {
            let slot = self.slot(o, rank);
            self.hold(o, Held::Slot(rank));
            names.push(o.to_string());
            starts.extend(quote!(let #o = ::backprop::tensor::fit(#slot, &#n);));
            ends.extend(self.show(o));
        }
        let (inputs, pattern) = self.inputs(&operands, &used, &n);
        let sums = match summed {
            Some(s) => {
                let s = scalar_name(*s);
                self.hold(&s, Held::Scalar);
                names.push(s.to_string());
                quote!(let [#s] =)
            }
            None => quote!(let [] =),
        };
        let sum = summed.map(|_| result);
        let bind = if summed.is_some() && code.result_name.is_some() {
            quote!(let __result = #result;)
        } else {
            TokenStream::new()
        };
        let (values, sum): (Vec<TokenStream>, TokenStream) = if bind.is_empty() {
            (values, sum.cloned().unwrap_or_default())
        } else {
            values[0] = quote!(__result);
            (values, quote!(__result))
        };
        let tokens = quote! {
            #scalars
            #starts
            #sums ::backprop::kernel::map(
                [#(#inputs),*],
                [#(#outs.view_mut()),*],
                #[inline(always)] |[#(#pattern),*], _| { #body #bind ([#(#values),*], [#sum]) },
            );
            #ends
        };
        vec![Line {
            names,
            tokens,
            again: Again::Keep,
        }]
    }

    /// Lets that give a body the floats among a map's operands.
    fn scalar_operands(&self, operands: &[V], used: &BTreeSet<String>) -> TokenStream {
        operands
            .iter()
            .filter(|o| !self.g.is_tensor(**o) && used.contains(&operand(**o).to_string()))
            .map(|o| {
                let (a, s) = (operand(*o), scalar_name(*o));
                quote!(let #a = #s;)
            })
            .collect()
    }

    /// The tensors among a map's operands, broadcast, and what its body calls their elements.
    fn inputs(
        &self,
        operands: &[V],
        used: &BTreeSet<String>,
        n: &Ident,
    ) -> (Vec<TokenStream>, Vec<Ident>) {
        operands
            .iter()
            .filter(|o| self.g.is_tensor(**o) && used.contains(&operand(**o).to_string()))
            .map(|o| {
                let t = tensor_name(*o);
                (quote!(::backprop::tensor::spread(&#t, &#n)), operand(*o))
            })
            .unzip()
    }

    /// Whether an operand of a map gets the upstream gradient as it is.
    pub fn hands_on(&self, v: V, to: V) -> bool {
        let gradients = self.codes.get(&v).into_iter().flat_map(|c| &c.gradients);
        gradients
            .filter(|g| g.0 == to)
            .any(|g| element::upstream() == g.1.to_string())
    }

    pub fn map_back(
        &self,
        v: V,
        upstream: &Upstream,
        targets: &[(V, bool)],
        started: &mut BTreeSet<V>,
    ) -> TokenStream {
        let Some(code) = self.codes.get(&v) else {
            return TokenStream::new();
        };
        let operands = self.g.value(v).op.operands();
        let back = &code.back;
        let up = element::upstream();
        let masked = code.slopes.singular && self.masks.masked.contains(&v);
        let zero = self.zero();
        let gradient = |o: V| {
            let (_, g) = code.gradients.iter().find(|g| g.0 == o)?;
            Some(match masked && up != g.to_string() {
                true => quote!(if #up == #zero { #zero } else { #g }),
                false => g.clone(),
            })
        };
        let gradients: Vec<TokenStream> = targets.iter().filter_map(|t| gradient(t.0)).collect();
        let used = mentioned(&quote!(#back #(#gradients)*));
        let scalars = self.scalar_operands(&operands, &used);
        let Ty::Tensor(rank, dim) = self.g.value(v).ty else {
            let d = adjoint(v);
            let mut lets = quote!(let #up = #d;);
            for (k, r) in code.residuals.iter().enumerate() {
                let from = residual(v, k);
                if used.contains(&r.to_string()) {
                    lets.extend(quote!(let #r = #from;));
                }
            }
            if let Some(r) = &code.result_name {
                let s = scalar_name(v);
                lets.extend(quote!(let #r = #s;));
            }
            let temporary: Vec<Ident> = (0..targets.len())
                .map(|k| format_ident!("__g{}", k))
                .collect();
            let adds = targets
                .iter()
                .zip(&temporary)
                .map(|((o, add), g)| self.scalar_add(*o, quote!(#g), *add));
            return quote! {
                let (#(#temporary,)*) = { #scalars #lets #back (#(#gradients,)*) };
                #(#adds)*
            };
        };
        let n = dim_name(dim);
        let (mut inputs, mut pattern) = self.inputs(&operands, &used, &n);
        for (k, r) in code.residuals.iter().enumerate() {
            if used.contains(&r.to_string()) {
                let from = residual(v, k);
                inputs.push(quote!(#from.view()));
                pattern.push(r.clone());
            }
        }
        if let Some(r) = &code.result_name
            && used.contains(&r.to_string())
        {
            let t = tensor_name(v);
            inputs.push(quote!(#t.view()));
            pattern.push(r.clone());
        }
        let mut lets = TokenStream::new();
        if used.contains(&up.to_string()) {
            match upstream {
                Upstream::Own => {
                    let d = adjoint(v);
                    inputs.push(quote!(#d.view()));
                    pattern.push(up.clone());
                }
                Upstream::Sum(s) => {
                    let d = adjoint(*s);
                    lets.extend(quote!(let #up = #d;));
                }
                Upstream::Axis(s, axis) => {
                    let d = adjoint(*s);
                    inputs.push(
                        quote!(::backprop::tensor::spread(&#d.view().insert_axis(#axis), &#n)),
                    );
                    pattern.push(up.clone());
                }
            }
        }
        let (mut starts, mut ends) = (TokenStream::new(), TokenStream::new());
        let (mut outs, mut olds, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sums, mut sum_names, mut sum_ends) = (Vec::new(), Vec::new(), TokenStream::new());
        for (k, ((o, add), g)) in targets.iter().zip(&gradients).enumerate() {
            if !self.g.is_tensor(*o) {
                let s = format_ident!("__g{}", k);
                sums.push(g.clone());
                sum_ends.extend(self.scalar_add(*o, quote!(#s), *add));
                sum_names.push(s);
                continue;
            }
            let at = led(self.g, *o);
            starts.extend(self.start(at, started));
            let place = self.place(at);
            if at == *o && matches!(upstream, Upstream::Own) && up == g.to_string() {
                // The upstream gradient itself, summed where the operand was broadcast.
                let d = adjoint(v);
                ends.extend(quote!(::backprop::tensor::copy_gathered(#d.view(), #place, #add);));
                continue;
            }
            let old = format_ident!("__old{}", k);
            if self.g.dim(at) == Some(dim) {
                outs.push(place);
            } else {
                let p = format_ident!("__p{}_{}", v.0, k, span = Span::mixed_site());
                let temporary = format_ident!("__b{}_{}", v.0, o.0, span = Span::mixed_site());
                let slot = self.slot(&temporary, rank);
                let target = match at == *o {
                    true => quote!(target),
                    false => quote!(leading_target),
                };
                starts.extend(
                    quote!(let mut #p = ::backprop::tensor::#target(#place, #slot, &#n, #add);),
                );
                outs.push(quote!(#p.view_mut()));
                ends.extend(quote!(#p.settle(#add);));
            }
            // Subnormal numbers, which saturated sigmoids leave, slow products down many times.
            let product = matches!(self.g.value(*o).op, Op::Product(..) | Op::Affine(..));
            let g = if product {
                quote!(::backprop::kernel::flush(#g))
            } else {
                g.clone()
            };
            values.push(if *add { quote!(#old + #g) } else { g });
            olds.push(old);
        }
        if outs.is_empty() && sums.is_empty() {
            return quote!(#starts #ends);
        }
        if inputs.is_empty() && outs.is_empty() {
            // All elements are alike.
            let t = self.sig.elem.tokens();
            let count = match self.sig.float() {
                Some(_) => quote!(<#t as ::backprop::tensor::Count>::count(#n.size())),
                None => quote!((#n.size() as #t)),
            };
            return quote! {
                #starts
                let [#(#sum_names),*] = { #scalars #lets #back [#((#sums) * #count),*] };
                #ends
                #sum_ends
            };
        }
        quote! {
            #starts
            let [#(#sum_names),*] = {
                #scalars
                #lets
                ::backprop::kernel::map(
                    [#(#inputs),*],
                    [#(#outs),*],
                    #[inline(always)] |[#(#pattern),*], [#(#olds),*]| { #back ([#(#values),*], [#(#sums),*]) },
                )
            };
            #ends
            #sum_ends
        }
    }
}
