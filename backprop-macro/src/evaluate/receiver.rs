//! What `check(self = …)` says that `self` is: its fields, as constant Rust.
//!
//! In: the user's expression, and a field, element or length that the function reads. Out: the scalar, or a part that is no
//! scalar by its number, to be asked further. What must hold: an expression whose parts are not written out, such as a call, is
//! unknown rather than guessed at.

use super::{Result, Scalar, Stop, unknown};
use quote::ToTokens;
use std::cell::RefCell;

/// `self`, and those of its parts that were reached.
#[derive(Default)]
pub struct Receiver {
    /// Number 0 is `self` itself.
    parts: RefCell<Vec<syn::Expr>>,
}

impl Receiver {
    /// What `self` is at every point.
    pub fn new(whole: &syn::Expr) -> Receiver {
        Receiver {
            parts: RefCell::new(vec![whole.clone()]),
        }
    }

    /// `self`, where something was said of it.
    pub fn whole(&self) -> Option<Scalar> {
        (!self.parts.borrow().is_empty()).then_some(Scalar::Part(0))
    }

    /// A field of a part.
    pub fn field(&self, of: u32, member: &str) -> Result<syn::Expr> {
        let whole = self.part(of);
        let found = match &whole {
            syn::Expr::Struct(s) => (s.fields.iter())
                .find(|f| f.member.to_token_stream().to_string() == member)
                .map(|f| f.expr.clone()),
            // A tuple struct, and a tuple.
            syn::Expr::Call(c) if is_type(&c.func) => nth(&c.args, member),
            syn::Expr::Tuple(t) => nth(&t.elems, member),
            _ => None,
        };
        match found {
            Some(found) => Ok(found),
            None => unknown(format!(
                "the field `{member}` of `{}`",
                whole.to_token_stream()
            )),
        }
    }

    /// An element of a part.
    pub fn element(&self, of: u32, index: i128) -> Result<syn::Expr> {
        let whole = self.part(of);
        let Some(all) = elements(&whole) else {
            return unknown(format!("the elements of `{}`", whole.to_token_stream()));
        };
        let found = usize::try_from(index)
            .ok()
            .and_then(|k| all.get(k).cloned());
        found.ok_or_else(|| Stop::Panic("index out of bounds".into()))
    }

    /// How many elements a part has.
    pub fn len(&self, of: u32) -> Result<Scalar> {
        let whole = self.part(of);
        match elements(&whole) {
            Some(all) => Ok(Scalar::Int(all.len() as i128)),
            None => unknown(format!("the length of `{}`", whole.to_token_stream())),
        }
    }

    /// What an expression is: a part of its own where its own parts are written out.
    pub fn keep(&self, e: &syn::Expr) -> Option<Scalar> {
        let e = bare(e);
        let composed = match &e {
            syn::Expr::Struct(_) | syn::Expr::Tuple(_) => true,
            syn::Expr::Call(c) => is_type(&c.func),
            e => elements(e).is_some(),
        };
        composed.then(|| {
            let mut parts = self.parts.borrow_mut();
            let text = e.to_token_stream().to_string();
            let known = parts
                .iter()
                .position(|p| p.to_token_stream().to_string() == text);
            let k = known.unwrap_or_else(|| {
                parts.push(e);
                parts.len() - 1
            });
            Scalar::Part(k as u32)
        })
    }

    fn part(&self, k: u32) -> syn::Expr {
        bare(&self.parts.borrow()[k as usize])
    }
}

/// An expression without brackets and references around it.
fn bare(e: &syn::Expr) -> syn::Expr {
    match e {
        syn::Expr::Paren(p) => bare(&p.expr),
        syn::Expr::Group(p) => bare(&p.expr),
        syn::Expr::Reference(r) => bare(&r.expr),
        e => e.clone(),
    }
}

/// `Spring(1.0)` makes a tuple struct; `spring(1.0)` is a function of unknown value.
fn is_type(e: &syn::Expr) -> bool {
    let syn::Expr::Path(p) = e else { return false };
    let last = p.path.segments.last();
    last.is_some_and(|s| s.ident.to_string().starts_with(char::is_uppercase))
}

fn nth<P>(all: &syn::punctuated::Punctuated<syn::Expr, P>, member: &str) -> Option<syn::Expr> {
    member.parse().ok().and_then(|k: usize| all.get(k).cloned())
}

/// The elements of an array or of a `vec!` of them.
fn elements(e: &syn::Expr) -> Option<Vec<syn::Expr>> {
    match e {
        syn::Expr::Array(a) => Some(a.elems.iter().cloned().collect()),
        syn::Expr::Macro(m) if m.mac.path.segments.last().is_some_and(|s| s.ident == "vec") => {
            let all = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
            let all = m.mac.parse_body_with(all).ok()?;
            Some(all.into_iter().collect())
        }
        _ => None,
    }
}
