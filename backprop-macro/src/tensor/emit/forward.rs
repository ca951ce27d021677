//! The forward pass: statements → lines.
//!
//! In: the statements of the function, of a branch or of a loop's body. Out: one or more [`Line`]s each. What is read for
//! its shape alone has a line, too; a later pass over the lines leaves out what nobody mentions.

use super::*;
use crate::tensor::lower::const_name;

impl Emit<'_> {
    pub fn forward(&self) -> Vec<Line> {
        self.lines(&self.g.stmts)
    }

    pub fn lines(&self, stmts: &[Stmt]) -> Vec<Line> {
        let mut out = Vec::new();
        for stmt in stmts {
            match stmt {
                Stmt::Value(v) if self.live.contains(v) || self.has_shape_only(*v) => {
                    out.extend(self.value(*v))
                }
                Stmt::Value(v) => out.extend(self.unread(*v)),
                Stmt::Loop(id) => out.push(self.run(*id)),
                Stmt::Dim(d) => out.push(self.dim(*d)),
                Stmt::Const(c) => {
                    let (name, tokens) = (const_name(*c), &self.g.consts[c.0 as usize]);
                    out.push(Line {
                        names: vec![name.to_string()],
                        tokens: quote!(let #name = #tokens;),
                        again: Again::Pure,
                    });
                }
                Stmt::Leave(c) => {
                    let goes_on = const_name(*c);
                    out.push(Line {
                        names: Vec::new(),
                        tokens: quote!(if !#goes_on { break; }),
                        again: Again::Effect,
                    });
                }
                Stmt::Effect(tokens) => out.push(Line {
                    names: Vec::new(),
                    tokens: tokens.clone(),
                    again: Again::Effect,
                }),
            }
        }
        out
    }

    /// An element that nothing reads: it must be there.
    fn unread(&self, v: V) -> Option<Line> {
        let Op::Get(a, index) = &self.g.value(v).op else {
            return None;
        };
        let n = self.dim_of(*a);
        Some(Line {
            names: Vec::new(),
            tokens: quote!(::backprop::tensor::viewed(&#n, |v| { let _ = v[#index]; });),
            again: Again::Effect,
        })
    }

    fn dim(&self, d: Dim) -> Line {
        let (op, rank) = &self.g.dims[d.0 as usize];
        let n = |d: &Dim| dim_name(*d);
        let how = self.g.unwrapped.get(&d).cloned();
        let how = how.unwrap_or_else(|| quote!(.unwrap()));
        let mut again = Again::Effect;
        let tokens = match op {
            DimOp::Of(v) if self.shape_before(*v).is_some() => {
                again = Again::Pure;
                let n = self.shape_before(*v);
                quote!(::core::clone::Clone::clone(&#n))
            }
            DimOp::Param(v) | DimOp::Of(v) => {
                again = Again::Keep;
                let t = tensor_name(*v);
                quote!(#t.raw_dim())
            }
            DimOp::Broadcast(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::broadcast(&#a, &#b))
            }
            DimOp::Into(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::broadcast_into(&#a, &#b))
            }
            DimOp::Same(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::same(&#a, &#b))
            }
            DimOp::Product(a, b) => {
                let f = format_ident!(
                    "product_{}_{}",
                    self.g.dim_rank(*a).unwrap_or(2),
                    self.g.dim_rank(*b).unwrap_or(2)
                );
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::#f(&#a, &#b))
            }
            DimOp::View(a, view) => {
                let (a, form) = (n(a), &view.form);
                quote!(::backprop::tensor::viewed(&#a, |v| v #form .raw_dim()))
            }
            DimOp::RemoveAxis(a, axis) => {
                let a = n(a);
                quote!(::backprop::tensor::remove_axis(&#a, #axis))
            }
            DimOp::Select(a, axis, indices) => {
                let a = n(a);
                quote!(::backprop::tensor::selected(&#a, #axis, &(#indices)[..]))
            }
            DimOp::Concatenate(all, axis) => {
                let all = all.iter().map(n);
                quote!(::backprop::tensor::concatenated(&[#(&#all),*], #axis) #how)
            }
            DimOp::Spread(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::spread_to(&#a, &#b) #how)
            }
            DimOp::Listed(shape, of) => {
                let of = n(of);
                quote!(::backprop::tensor::listed(#shape, #of.size()) #how)
            }
            DimOp::Beside(a, b) => {
                let (a, b) = (n(a), n(b));
                quote!(::backprop::tensor::side_by_side(&#a, &#b))
            }
            DimOp::Ranked(a) => {
                let (a, ty) = (n(a), dimension(*rank));
                quote!(::backprop::tensor::ranked::<_, #ty>(&#a) #how)
            }
            DimOp::Given(shape, of) => {
                let of = match of {
                    Some(d) => {
                        let d = n(d);
                        quote!(::core::option::Option::Some(#d.size()))
                    }
                    None => quote!(::core::option::Option::None),
                };
                quote!(::backprop::tensor::given(#shape, #of) #how)
            }
        };
        let name = dim_name(d);
        let ty = dimension(*rank);
        self.hold(&name, Held::Dim(*rank));
        Line {
            names: vec![name.to_string()],
            tokens: quote!(let #name: #ty = #tokens;),
            again,
        }
    }

    /// The shape of what a loop carries, where that is the shape of what the loop starts from: in a buffer that the loop fills, or
    /// as each iteration hands on the shape that it finds.
    fn shape_before(&self, v: V) -> Option<TokenStream> {
        if self.g.places.contains_key(&v) {
            return Some(self.filled_shape(v));
        }
        let (Op::Inside { init, of, .. } | Op::After { init, of, .. }) = self.g.value(v).op else {
            return None;
        };
        let mut carried = self.g.loops.get(of)?.carried.iter();
        let c = carried.find(|c| c.inside == v || c.after == v)?;
        let start = self.g.dim(init)?;
        (self.g.dim(c.next) == self.g.dim(c.inside)).then(|| dim_name(start).to_token_stream())
    }

    fn value(&self, v: V) -> Vec<Line> {
        let value = self.g.value(v);
        let line = |names: &[&Ident], tokens, again| Line {
            names: names.iter().map(|n| n.to_string()).collect(),
            tokens,
            again,
        };
        if self.g.places.contains_key(&v) {
            return self.filled(v).into_iter().collect();
        }
        match (&value.op, value.ty) {
            (Op::Param(k), Ty::Tensor(..)) => {
                let (t, ident) = (tensor_name(v), &self.sig.params[*k].ident);
                self.hold(&t, Held::Param(*k));
                vec![line(&[&t], quote!(let #t = #ident.view();), Again::Keep)]
            }
            (Op::Param(k), Ty::Scalar) => {
                let p = &self.sig.params[*k];
                let (s, ident) = (scalar_name(v), &p.ident);
                self.hold(&s, Held::Scalar);
                let read = if p.by_ref {
                    quote!(*#ident)
                } else {
                    quote!(#ident)
                };
                vec![line(&[&s], quote!(let #s = #read;), Again::Keep)]
            }
            (Op::Constant(tokens), Ty::Tensor(rank, _)) => {
                let t = tensor_name(v);
                let slot = self.slot(&t, rank);
                self.hold(&t, Held::Slot(rank));
                let show = self.show(&t);
                vec![line(
                    &[&t],
                    quote!(let #t = ::backprop::tensor::hold(#slot, #tokens); #show),
                    Again::Keep,
                )]
            }
            (Op::Param(k), Ty::List(_)) => {
                let (t, ident) = (tensor_name(v), &self.sig.params[*k].ident);
                self.hold(&t, Held::Param(*k));
                vec![line(&[&t], quote!(let #t = &#ident[..];), Again::Keep)]
            }
            (Op::Item(list, k), _) => {
                let (t, list) = (tensor_name(v), tensor_name(*list));
                vec![line(&[&t], quote!(let #t = #list[#k].view();), Again::Pure)]
            }
            (Op::Inside { of, .. }, Ty::Tensor(..)) => vec![self.inside(v, *of)],
            (Op::After { of, .. }, Ty::Tensor(..)) => vec![self.after(v, *of)],
            (Op::Inside { .. } | Op::After { .. } | Op::Collected { .. }, _) => Vec::new(),
            (Op::Map { .. }, _) => self.map(v),
            (
                Op::Call {
                    function,
                    args,
                    by_fields,
                },
                _,
            ) => {
                vec![self.call(v, function, args, *by_fields)]
            }
            (_, Ty::List(_)) => Vec::new(),
            (Op::View(a, view), _) => {
                let (t, a, form) = (tensor_name(v), tensor_name(*a), &view.form);
                vec![line(&[&t], quote!(let #t = #a.view() #form;), Again::Pure)]
            }
            (Op::Leading(a), Ty::Tensor(rank, dim)) => {
                let (t, a, n) = (tensor_name(v), self.operand(*a), dim_name(dim));
                let slot = self.slot(&t, rank);
                vec![line(
                    &[&t],
                    quote!(let #t = ::backprop::tensor::leading(#slot, #a, &#n);),
                    Again::Pure,
                )]
            }
            (Op::Sum(a), _) if self.summed.contains_key(a) => Vec::new(),
            (
                Op::Lanes {
                    of,
                    axis,
                    function,
                    scalars,
                },
                ty,
            ) => {
                let of = self.operand(*of);
                let scalars = scalars.iter().map(|s| scalar_name(*s));
                let t = self.sig.elem.tokens();
                let call = match self.g.largest.get(&function.to_string()) {
                    Some(start) => {
                        quote!(|__row: &[#t]| ::backprop::tensor::largest(__row, #start))
                    }
                    None => quote!(|__row: &[#t]| #function(__row, #(#scalars),*)),
                };
                match (axis, ty) {
                    (Some(axis), Ty::Tensor(rank, dim)) => {
                        let (t, n) = (tensor_name(v), dim_name(dim));
                        let slot = self.slot(&t, rank);
                        self.hold(&t, Held::Slot(rank));
                        let show = self.show(&t);
                        vec![line(
                            &[&t],
                            quote! {
                                let #t = ::backprop::tensor::fit(#slot, &#n);
                                ::backprop::tensor::lanes(#of, #axis, #t.view_mut(), #call);
                                #show
                            },
                            Again::Keep,
                        )]
                    }
                    _ => {
                        let s = scalar_name(v);
                        self.hold(&s, Held::Scalar);
                        vec![line(
                            &[&s],
                            quote!(let #s = ::backprop::tensor::all(#of, #call);),
                            Again::Keep,
                        )]
                    }
                }
            }
            (Op::Idiom { idiom, of, .. }, _) if idiom.keeps() => {
                vec![self.keeping(v, *idiom, *of)]
            }
            (Op::Normal(normal), _) => vec![self.normal(v, normal)],
            (op, Ty::Scalar) => {
                let s = scalar_name(v);
                self.hold(&s, Held::Scalar);
                let out = TokenStream::new();
                let call = match op {
                    Op::Idiom { idiom, .. } => self.lane(v, |l| idiom.forward(l, &out)),
                    _ => self.spelling(None, |sp| transpose::forward(op, sp, &out)),
                };
                let again = match op {
                    Op::Get(of, _) if self.stays(*of, value.region) => Again::Pure,
                    _ => Again::Keep,
                };
                vec![line(&[&s], quote!(let #s = #call;), again)]
            }
            (op, Ty::Tensor(rank, dim)) => {
                let (t, n) = (tensor_name(v), dim_name(dim));
                let slot = self.slot(&t, rank);
                self.hold(&t, Held::Slot(rank));
                let out = quote!(#t.view_mut());
                let call = match op {
                    Op::Idiom { idiom, .. } => self.lane(v, |l| idiom.forward(l, &out)),
                    _ => self.spelling(None, |sp| transpose::forward(op, sp, &out)),
                };
                let show = self.show(&t);
                vec![line(
                    &[&t],
                    quote! {
                        let #t = ::backprop::tensor::fit(#slot, &#n);
                        #call;
                        #show
                    },
                    Again::Keep,
                )]
            }
        }
    }

    /// Whether a tensor is outside of a loop and stays as it is: on the way back its elements are read where they are, instead of one being
    /// kept for each iteration.
    fn stays(&self, v: V, region: usize) -> bool {
        let (at, _) = base(self.g, v);
        let value = self.g.value(at);
        region != 0 && value.region == 0 && !self.g.places.contains_key(&at)
    }

    /// An idiom, beside the softmax that its backward pass reads.
    fn keeping(&self, v: V, idiom: Idiom, of: V) -> Line {
        let (p, n) = (residual(v, 0), self.dim_of(of));
        let slot = self.slot(&p, self.g.rank(of));
        self.hold(&p, Held::Slot(self.g.rank(of)));
        let show = self.show(&p);
        let start = quote!(let #p = ::backprop::tensor::fit(#slot, &#n););
        let Ty::Tensor(rank, dim) = self.g.value(v).ty else {
            let s = scalar_name(v);
            self.hold(&s, Held::Scalar);
            let call = self.lane(v, |l| idiom.forward(l, &TokenStream::new()));
            return Line {
                names: vec![s.to_string(), p.to_string()],
                tokens: quote!(#start let #s = #call; #show),
                again: Again::Keep,
            };
        };
        let (t, n) = (tensor_name(v), dim_name(dim));
        let slot = self.slot(&t, rank);
        self.hold(&t, Held::Slot(rank));
        let call = self.lane(v, |l| idiom.forward(l, &quote!(#t.view_mut())));
        let show_value = self.show(&t);
        Line {
            names: vec![t.to_string(), p.to_string()],
            tokens: quote! {
                #start
                let #t = ::backprop::tensor::fit(#slot, &#n);
                #call;
                #show
                #show_value
            },
            again: Again::Keep,
        }
    }

    /// Normalised lanes, beside what their backward pass reads of each.
    fn normal(&self, v: V, normal: &Normal) -> Line {
        let (t, n, lanes) = (tensor_name(v), self.dim_of(v), dim_name(normal.lanes));
        let kept = [0, 1].map(|k| residual(v, k));
        let [mean, squares] = &kept;
        let rank = self.g.dim_rank(normal.lanes);
        let slots = [&t, mean, squares].map(|name| {
            let rank = if *name == t { self.g.rank(v) } else { rank };
            self.hold(name, Held::Slot(rank));
            self.slot(name, rank)
        });
        let [to, to_mean, to_squares] = slots;
        let out = quote!(#t.view_mut());
        let of = self.operand(normal.of);
        let call = normal.forward(&of, |u| self.uniform(u), &kept, &out);
        let shows = [&t, mean, squares].map(|name| self.show(name));
        Line {
            names: [&t, mean, squares].map(|name| name.to_string()).to_vec(),
            tokens: quote! {
                let #t = ::backprop::tensor::fit(#to, &#n);
                let #mean = ::backprop::tensor::fit(#to_mean, &#lanes);
                let #squares = ::backprop::tensor::fit(#to_squares, &#lanes);
                #call;
                #(#shows)*
            },
            again: Again::Keep,
        }
    }

    /// A buffer that has been written becomes a view; where a call takes the array itself, that has a name too.
    pub fn show(&self, t: &Ident) -> TokenStream {
        let own = format_ident!("__own{}", t, span = Span::mixed_site());
        quote!(let #own = &*#t; let #t = #own.view();)
    }
}
