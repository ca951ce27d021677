//! Scalar expressions: literals, operands with the brackets that they need, primitives.

use super::Emit;
use crate::graph::maps::Set;
use crate::graph::*;
use crate::rules::{Op, Syntax};
use crate::types::{FloatTy, Kind, Ty};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

impl Emit<'_> {
    pub(super) fn float(&self, value: f64, ty: &FloatTy) -> TokenStream {
        let path = ty.tokens();
        match ty {
            FloatTy::Generic(t) => {
                if value == 0.0 && value.is_sign_positive() {
                    return quote!(#t::zero());
                }
                if value == 1.0 {
                    return quote!(#t::one());
                }
                let inner = self.float(value, &FloatTy::F64);
                quote!(#t::from(#inner).unwrap())
            }
            _ if value.is_nan() => quote!(#path::NAN),
            _ if value.is_infinite() => {
                if value > 0.0 {
                    quote!(#path::INFINITY)
                } else {
                    quote!(#path::NEG_INFINITY)
                }
            }
            _ => {
                let suffix = if *ty == FloatTy::F32 { "f32" } else { "f64" };
                let size = value.abs();
                let text = format!("{size:?}_{suffix}");
                let lit = text
                    .parse::<Literal>()
                    .unwrap_or_else(|_| Literal::f64_suffixed(size));
                if value.is_sign_negative() {
                    quote!((-#lit))
                } else {
                    quote!(#lit)
                }
            }
        }
    }

    pub(super) fn zero(&self, ty: Ty) -> TokenStream {
        match self.g().types.kind(ty) {
            Kind::Float(f) => self.float(0.0, f),
            Kind::AnyFloat => quote!(0.0),
            Kind::AnyInt | Kind::Int(_) => quote!(0),
            Kind::Bool => quote!(false),
            Kind::Unknown | Kind::Other => quote!(::core::default::Default::default()),
        }
    }

    /// A value, as an operand of anything.
    pub fn value(&self, id: Id) -> TokenStream {
        self.operand(id, 7)
    }

    /// A value on its own.
    pub fn whole_value(&self, id: Id) -> TokenStream {
        self.operand(id, 0)
    }

    /// A value, in brackets where it binds less than its surroundings.
    fn operand(&self, id: Id, least: u8) -> TokenStream {
        let id = self.g().resolve(id);
        if !self.is_nested(id) {
            return self.named(id);
        }
        let spelt = self.definition(id);
        if self.level(id) < least {
            quote!((#spelt))
        } else {
            spelt
        }
    }

    pub(super) fn is_nested(&self, id: Id) -> bool {
        self.nested[usize::from(self.saved.is_some())].contains(&id)
    }

    /// How tightly what a node is spelt as binds.
    fn level(&self, id: Id) -> u8 {
        match self.g().node(id) {
            Node::Apply(op, _) => match op.syntax() {
                Syntax::Infix("+" | "-") => 3,
                Syntax::Infix(_) => 4,
                Syntax::Prefix(_) => 5,
                Syntax::Method(_) | Syntax::Form("powi") => 7,
                Syntax::Form(_) => 1,
            },
            Node::Load(..) => 7,
            Node::Opaque(k, _) if matches!(self.g().opaque_of(*k).form, OpaqueForm::Method(_)) => 7,
            _ => 1,
        }
    }

    /// The nodes that are named where a value is spelt.
    pub(super) fn leaves(&self, id: Id, out: &mut Set<Id>) {
        let id = self.g().resolve(id);
        if self.is_nested(id) {
            for o in self.g().operands(id) {
                self.leaves(o, out);
            }
        } else {
            out.insert(id);
        }
    }

    fn named(&self, id: Id) -> TokenStream {
        let data = self.g().data(id);
        match &data.node {
            Node::Lit(bits) => self.float(f64::from_bits(*bits), &self.g().types.float(data.ty)),
            Node::Param(k) => match (&self.saved, *k < self.primal_params) {
                (Some(saved), true) => self.field(saved, &self.param_field(id)),
                _ => self.p.reads[*k as usize].clone(),
            },
            Node::Opaque(k, args) => match (&self.g().opaque_of(*k).form, args.as_slice()) {
                (OpaqueForm::Tokens(t), _) => t.clone(),
                (OpaqueForm::Field(f), [base]) => {
                    let base = self.value(*base);
                    quote!(#base.#f)
                }
                _ => {
                    let name = self.name(id);
                    quote!(#name)
                }
            },
            Node::Undef(_) => self.filler(id),
            _ => {
                let name = self.name(id);
                quote!(#name)
            }
        }
    }

    /// What a node computes.
    pub(super) fn definition(&self, id: Id) -> TokenStream {
        let data = self.g().data(id);
        let v = |id: &Id| self.value(*id);
        match &data.node {
            Node::Apply(op, args) => self.primitive(*op, args, data.ty),
            Node::Cast(a, to) => {
                let a = v(a);
                let to = to
                    .clone()
                    .unwrap_or_else(|| self.g().types.float(data.ty))
                    .tokens();
                quote!(#a as #to)
            }
            Node::Opaque(k, args) => {
                let args: Vec<TokenStream> = args.iter().map(v).collect();
                match (&self.g().opaque_of(*k).form, args.as_slice()) {
                    (OpaqueForm::Tokens(t), _) => t.clone(),
                    (OpaqueForm::Field(f), [a]) => quote!(#a.#f),
                    (OpaqueForm::Unary(op), [a]) => quote!(#op #a),
                    (OpaqueForm::Binary(op), [a, b]) => quote!(#a #op #b),
                    (OpaqueForm::Method(m), [a, rest @ ..]) => quote!((#a).#m(#(#rest),*)),
                    (OpaqueForm::Call(f), all) => quote!(#f(#(#all),*)),
                    (OpaqueForm::Cast(t), [a]) => quote!((#a) as #t),
                    (OpaqueForm::Index, [a, i]) => quote!(#a[#i]),
                    (OpaqueForm::Matches(pat), [a]) => {
                        let first = pat.clone().into_iter().next();
                        // A macro takes no pattern that begins with `..=`.
                        match first.map(|t| t.to_string()).as_deref() {
                            Some(".") => quote!(::core::matches!(#a, (#pat))),
                            _ => quote!(::core::matches!(#a, #pat)),
                        }
                    }
                    (OpaqueForm::Bound(pat, name), [a]) => {
                        quote!(match &#a { #pat => *#name, _ => ::core::default::Default::default() })
                    }
                    _ => quote!(()),
                }
            }
            Node::Load(p, _) => self.place(p),
            Node::Len(p, _) => {
                let p = self.place(p);
                quote!(#p.len())
            }
            _ => self.value(id),
        }
    }

    fn primitive(&self, op: Op, args: &[Id], ty: Ty) -> TokenStream {
        let at = |k: usize, least: u8| self.operand(args[k], least);
        match (op.syntax(), args) {
            (Syntax::Prefix(_), [_]) => {
                let a = at(0, 6);
                quote!(-#a)
            }
            (Syntax::Infix(o), [_, _]) => {
                let (left, right) = if matches!(o, "+" | "-") {
                    (3, 4)
                } else {
                    (4, 5)
                };
                // On the right an `if` needs no brackets.
                let choice = matches!(
                    self.g().node(self.g().resolve(args[1])),
                    Node::Apply(Op::Select, _)
                );
                let (a, b) = (at(0, left), at(1, if choice { 0 } else { right }));
                let o: TokenStream = match o {
                    "+" => quote!(+),
                    "-" => quote!(-),
                    "*" => quote!(*),
                    "/" => quote!(/),
                    _ => quote!(%),
                };
                quote!(#a #o #b)
            }
            (Syntax::Method(m @ ("exp" | "exp_m1" | "ln" | "ln_1p" | "tanh")), [_])
                if self.kernels =>
            {
                let (m, a) = (Ident::new(m, Span::mixed_site()), at(0, 0));
                quote!(::backprop::kernel::#m(#a))
            }
            (Syntax::Method(m), [_, ..]) => {
                let (a, rest) = (at(0, 7), (1..args.len()).map(|k| at(k, 0)));
                let m = Ident::new(m, Span::mixed_site());
                quote!(#a.#m(#(#rest),*))
            }
            (Syntax::Form("powi"), [_, _]) => {
                let (a, n) = (at(0, 7), at(1, 0));
                quote!(#a.powi(#n))
            }
            (Syntax::Form("select_value"), [_, _, _]) => {
                let (c, a, b) = (at(0, 0), at(1, 0), at(2, 0));
                quote!(if #c { #a } else { #b })
            }
            (Syntax::Form(_), [_]) => {
                let n = at(0, 0);
                match self.g().types.float(ty) {
                    FloatTy::Generic(t) => quote!(#t::from(#n).unwrap()),
                    f => {
                        let f = f.tokens();
                        quote!((#n) as #f)
                    }
                }
            }
            _ => quote!(()),
        }
    }
}
