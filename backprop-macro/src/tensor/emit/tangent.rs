//! Tangents: maps and lanes, each beside its value.
//!
//! In: an operation that `tangent` has made. Out: its line. A map's value and tangent are one pass, which computes what both need once.

use super::*;

impl Emit<'_> {
    pub fn map_tangent(&self, v: V, of: V, body: &syn::Expr, operands: &[V]) -> Line {
        let used = mentioned(&body.to_token_stream());
        let scalars = self.scalar_operands(operands, &used);
        let Ty::Tensor(rank, dim) = self.g.value(v).ty else {
            let (s, ds, t) = (scalar_name(of), scalar_name(v), self.sig.elem.tokens());
            for name in [&s, &ds] {
                self.hold(name, Held::Scalar);
            }
            return Line {
                names: vec![s.to_string(), ds.to_string()],
                tokens: quote!(let (#s, #ds): (#t, #t) = { #scalars #body };),
                again: Again::Keep,
            };
        };
        let n = dim_name(dim);
        let (inputs, pattern) = self.inputs(operands, &used, &n);
        let both = [(of, quote!(__value)), (v, quote!(__tangent))];
        let (mut starts, mut ends) = (TokenStream::new(), TokenStream::new());
        let (mut outs, mut values) = (Vec::new(), Vec::new());
        for (which, value) in both
            .into_iter()
            .filter(|(which, _)| self.live.contains(which))
        {
            let t = tensor_name(which);
            let slot = self.slot(&t, rank);
            self.hold(&t, Held::Slot(rank));
            starts.extend(quote!(let #t = ::backprop::tensor::fit(#slot, &#n);));
            ends.extend(self.show(&t));
            outs.push(t);
            values.push(value);
        }
        Line {
            names: outs.iter().map(Ident::to_string).collect(),
            tokens: quote! {
                #scalars
                #starts
                let [] = ::backprop::kernel::map(
                    [#(#inputs),*],
                    [#(#outs.view_mut()),*],
                    #[inline(always)] |[#(#pattern),*], _| { let (__value, __tangent) = #body; ([#(#values),*], []) },
                );
                #ends
            },
            again: Again::Keep,
        }
    }

    pub fn lanes_tangent(&self, v: V) -> Line {
        let Op::LanesTangent {
            of,
            axis,
            function,
            scalars,
            tangents,
        } = &self.g.value(v).op
        else {
            return Line::none();
        };
        let (of, d) = (self.operand(*of), self.operand(tangents[0]));
        let t = self.sig.elem.tokens();
        let names = scalars.iter().map(|s| scalar_name(*s));
        let slopes = tangents[1..].iter().map(|s| scalar_name(*s));
        let call = quote! {
            |__row: &[#t], __d_row: &[#t]| #function::jvp(__row, #(#names,)* __d_row, #(#slopes),*).1
        };
        let (name, tokens) = match (axis, self.g.value(v).ty) {
            (Some(axis), Ty::Tensor(rank, dim)) => {
                let (t, n) = (tensor_name(v), dim_name(dim));
                let slot = self.slot(&t, rank);
                self.hold(&t, Held::Slot(rank));
                let show = self.show(&t);
                let tokens = quote! {
                    let #t = ::backprop::tensor::fit(#slot, &#n);
                    ::backprop::tensor::lanes_tangent(#of, #d, #axis, #t.view_mut(), #call);
                    #show
                };
                (t, tokens)
            }
            _ => {
                let s = scalar_name(v);
                self.hold(&s, Held::Scalar);
                let tokens = quote!(let #s = ::backprop::tensor::all_tangent(#of, #d, #call););
                (s, tokens)
            }
        };
        Line {
            names: vec![name.to_string()],
            tokens,
            again: Again::Keep,
        }
    }
}
