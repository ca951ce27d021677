//! Places: array elements and parts, what is read of them, what is borrowed.

use super::Lower;
use super::value::{Borrow, RangeVal, Val, View};
use crate::errors::Result;
use crate::graph::{Id, Init, Node, Opaque, OpaqueForm, Place, Step};
use crate::rules::Op;
use crate::shape::{Length, Shape};
use crate::types::Kind;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

impl Lower<'_> {
    // ---- views ----

    pub(super) fn view_shape(&self, view: &View) -> Shape {
        self.g.shape_at(&view.place)
    }

    /// How many elements a view has.
    pub(super) fn view_len(&mut self, view: &View) -> Id {
        if let Some((_, len)) = view.window {
            return len;
        }
        self.place_len(&view.place)
    }

    pub(super) fn place_len(&mut self, place: &Place) -> Id {
        match self.g.shape_at(place) {
            Shape::Array(_, Length::Known(n)) => self.g.usize_const(n),
            Shape::Array(_, Length::Tokens(t)) => {
                let ty = self.g.usize_ty();
                self.g.opaque_tokens(quote!((#t)), ty)
            }
            _ => {
                let version = self.g.array(place.array).version;
                let ty = self.g.usize_ty();
                self.g.compute(Node::Len(place.clone(), version), ty)
            }
        }
    }

    /// One element of a view: a scalar is read, a part is a view again.
    pub(super) fn element(&mut self, view: &View, index: Id) -> Val {
        let place = self.element_place(view, index);
        self.at(place, Borrow::Own)
    }

    /// One element of what is iterated over or matched: behind `&mut` it is a place, behind `&` its parts are borrowed too.
    pub(super) fn item(&mut self, view: &View, index: Id) -> Val {
        let place = self.element_place(view, index);
        match view.borrow {
            Borrow::Mut => self.reference_to(place),
            borrow => self.at(place, borrow),
        }
    }

    /// As [`Lower::element`], with the bounds of a window checked.
    pub(super) fn checked_element(&mut self, view: &View, index: Id) -> Val {
        self.check_window(view, index);
        self.element(view, index)
    }

    /// Panics where an index is beyond a window; the array's own bounds are Rust's to check.
    pub(super) fn check_window(&mut self, view: &View, index: Id) {
        if let Some((_, len)) = view.window {
            let ty = self.g.ty(index);
            self.g.types.learn(ty, Kind::Int("usize".into()));
            let ty = self.g.bool_ty();
            let inside = self.g.opaque_binary(quote!(<), index, len, ty, false);
            self.effect(
                quote!(::core::assert!(__h0, "index out of bounds")),
                &[inside],
            );
        }
    }

    /// What stands at a place.
    pub(super) fn at(&mut self, place: Place, borrow: Borrow) -> Val {
        match self.g.shape_at(&place) {
            shape @ (Shape::Tuple(_) | Shape::Struct(_)) => {
                let count = shape.parts().map_or(0, |all| all.len() as u32);
                let parts = (0..count).map(|k| {
                    let mut part = place.clone();
                    part.path.push(Step::Field(k));
                    self.at(part, borrow)
                });
                let parts = parts.collect();
                match shape {
                    Shape::Struct(of) => Val::Struct(of, parts),
                    _ => Val::Tuple(parts),
                }
            }
            shape if shape.is_array() => Val::View(View {
                place,
                window: None,
                borrow,
            }),
            Shape::Constant(ty) => {
                let id = self.g.load(place);
                self.g.nodes[id.0 as usize].pinned = true;
                let kind = super::kind_of(&ty, &self.sig.names);
                let t = self.g.ty(id);
                self.g.types.learn(t, kind);
                Val::Num(id)
            }
            _ => {
                let id = self.g.load(place);
                self.g.nodes[id.0 as usize].pinned = true;
                Val::Num(id)
            }
        }
    }

    /// `&mut` to what stands at a place.
    pub(super) fn reference_to(&self, place: Place) -> Val {
        if self.g.shape_at(&place).is_array() {
            return Val::View(View {
                place,
                window: None,
                borrow: Borrow::Mut,
            });
        }
        Val::Elem(place)
    }

    pub(super) fn subview(&mut self, view: &View, lo: Id, len: Id) -> View {
        let lo = match view.window {
            Some((base, _)) => self.usize_op(quote!(+), base, lo),
            None => lo,
        };
        View {
            place: view.place.clone(),
            window: Some((lo, len)),
            borrow: match view.borrow {
                Borrow::Mut => Borrow::Mut,
                _ => Borrow::Shared,
            },
        }
    }

    /// `a[lo..hi]`, its bounds checked as Rust does.
    pub(super) fn slice(&mut self, view: &View, range: &RangeVal) -> View {
        let len = self.view_len(view);
        let lo = range.lo.unwrap_or_else(|| self.g.usize_const(0));
        let hi = match range.hi {
            None => len,
            Some(hi) if range.inclusive => {
                let one = self.g.usize_const(1);
                self.usize_op(quote!(+), hi, one)
            }
            Some(hi) => hi,
        };
        if range.lo.is_some() || range.hi.is_some() {
            let ty = self.g.bool_ty();
            let ordered = self.g.opaque_binary(quote!(<=), lo, hi, ty, false);
            let ty = self.g.bool_ty();
            let inside = self.g.opaque_binary(quote!(<=), hi, len, ty, false);
            self.effect(
                quote!(::core::assert!(
                    __h0 && __h1,
                    "range out of bounds of the slice"
                )),
                &[ordered, inside],
            );
        }
        let count = self.usize_op(quote!(-), hi, lo);
        self.subview(view, lo, count)
    }

    /// A copy of a view in an array of its own.
    pub(super) fn copied(&mut self, view: &View, name: &str) -> View {
        let shape = match self.view_shape(view) {
            Shape::Slice(s) => Shape::Vec(s),
            Shape::Array(s, _) if view.window.is_some() => Shape::Vec(s),
            shape => shape,
        };
        if view.window.is_none() {
            // The adjoint needs the length where the array itself is out of scope.
            let len = matches!(shape, Shape::Vec(_)).then(|| self.view_len(view));
            let array = self.g.declare(
                name,
                shape,
                Init::Copy(view.place.clone()),
                Span::call_site(),
            );
            self.g.array_mut(array).len = len;
            return View {
                place: Place {
                    array,
                    path: Vec::new(),
                },
                window: None,
                borrow: Borrow::Own,
            };
        }
        let out = self.empty_like(&shape, view, name);
        // A window is copied element by element.
        let _ = self.copy_view(&out, view);
        out
    }

    fn empty_like(&mut self, shape: &Shape, view: &View, name: &str) -> View {
        let len = self.view_len(view);
        let zero = self.zero_of(shape.element().cloned().unwrap_or(Shape::Unknown));
        let array = self.g.declare(
            name,
            shape.clone(),
            Init::Repeat(crate::graph::Element::Scalar(zero)),
            Span::call_site(),
        );
        self.g.array_mut(array).len = Some(len);
        View {
            place: Place {
                array,
                path: Vec::new(),
            },
            window: None,
            borrow: Borrow::Own,
        }
    }

    pub(super) fn zero_of(&mut self, shape: Shape) -> Id {
        match shape {
            Shape::Float(f) => {
                let ty = self.g.types.fresh(Kind::Float(f));
                self.g.lit(0.0, ty)
            }
            Shape::Scalar(ty) => {
                let k = self.g.nodes.len() as u32;
                self.g.bound(Node::Undef(k), ty, None)
            }
            _ => {
                let ty = self.g.types.fresh(Kind::AnyFloat);
                self.g.lit(0.0, ty)
            }
        }
    }

    /// `to = from` for whole arrays or windows of one length.
    pub(super) fn copy_view(&mut self, to: &View, from: &View) -> Result<()> {
        let (a, b) = (self.view_shape(to), self.view_shape(from));
        self.unify_shapes(&a, &b);
        if to.window.is_none() && from.window.is_none() {
            self.g.copy(to.place.clone(), from.place.clone(), false);
            return Ok(());
        }
        let len = self.view_len(from);
        let (to, from) = (to.clone(), from.clone());
        self.positions(len, false, move |l, k| {
            let val = l.element(&from, k);
            l.assign_element(&to, k, val)
        })
    }

    /// The adjoint of an array is laid out once: what replaces a `Vec`'s contents must be as long.
    pub(super) fn keeps_length(&mut self, to: &View, from: &View) {
        let fixed = |s: &Shape| matches!(s, Shape::Array(..));
        if fixed(&self.view_shape(to)) || fixed(&self.view_shape(from)) {
            return;
        }
        let (a, b) = (self.view_len(to), self.view_len(from));
        if a == b {
            return;
        }
        let ty = self.g.bool_ty();
        let same = self.g.opaque_binary(quote!(==), a, b, ty, false);
        self.effect(
            quote!(::core::assert!(
                __h0,
                "backprop: a `Vec` that is replaced or swapped in a loop, a branch or behind `&mut` must keep its length"
            )),
            &[same],
        );
    }

    /// A loop over `0..len`.
    pub(super) fn positions(
        &mut self,
        len: Id,
        rev: bool,
        body: impl FnOnce(&mut Self, Id) -> Result<()>,
    ) -> Result<()> {
        let ty = self.g.ty(len);
        self.g.types.learn(ty, Kind::Int("usize".into()));
        self.looped(
            None,
            self.g.span.unwrap_or_else(Span::call_site),
            |l| {
                let index = l.index(Kind::Int("usize".into()), "k");
                let lo = l.g.usize_const(0);
                (
                    crate::graph::Count::Range {
                        index,
                        lo,
                        hi: len,
                        inclusive: false,
                        rev,
                    },
                    Some(index),
                )
            },
            |l, index| match index {
                Some(k) => body(l, k),
                None => Ok(()),
            },
        )?;
        Ok(())
    }

    pub(super) fn assign_element(&mut self, view: &View, index: Id, val: Val) -> Result<()> {
        let index = match view.window {
            Some((lo, _)) => self.usize_op(quote!(+), lo, index),
            None => index,
        };
        let mut place = view.place.clone();
        place.path.push(Step::Index(index));
        self.assign_place(place, val, &quote!())
    }

    /// Stores a value at a place inside an array.
    pub(super) fn assign_place(&mut self, place: Place, val: Val, at: &dyn ToTokens) -> Result<()> {
        match val {
            Val::View(from) => {
                let to = View {
                    place,
                    window: None,
                    borrow: Borrow::Own,
                };
                self.copy_view(&to, &from)
            }
            Val::Tuple(all) | Val::Struct(_, all) => {
                for (k, v) in all.into_iter().enumerate() {
                    let mut part = place.clone();
                    part.path.push(Step::Field(k as u32));
                    self.assign_place(part, v, at)?;
                }
                Ok(())
            }
            val => {
                let value = self.num(val, at)?;
                self.learn_scalar(&place, value);
                self.store(place, value);
                Ok(())
            }
        }
    }

    fn learn_scalar(&mut self, place: &Place, value: Id) {
        let ty = self.g.ty(value);
        match self.g.shape_at(place) {
            Shape::Float(f) => self.g.types.learn(ty, Kind::Float(f)),
            Shape::Scalar(t) => self.g.types.unify(t, ty),
            _ => {}
        }
    }

    /// A store; `a[i] = a[i] + v` is an accumulation, which asks nothing of the old element.
    fn store(&mut self, place: Place, value: Id) {
        let value = self.g.resolve(value);
        if let Node::Apply(Op::Add, args) = self.g.node(value).clone() {
            let version = self.g.array(place.array).version;
            if let Node::Load(p, v) = self.g.node(self.g.resolve(args[0]))
                && *v == version
                && self.same_place(p, &place)
                && self.g.data(value).region == Some(self.g.here())
                && args[0] != args[1]
            {
                self.g.store(place, args[1], true);
                return;
            }
        }
        self.g.store(place, value, false);
    }

    fn same_place(&self, a: &Place, b: &Place) -> bool {
        a.array == b.array
            && a.path.len() == b.path.len()
            && a.path.iter().zip(&b.path).all(|(x, y)| match (x, y) {
                (Step::Index(i), Step::Index(j)) => {
                    let (i, j) = (self.g.resolve(*i), self.g.resolve(*j));
                    i == j || matches!((self.g.opaque_text(i), self.g.opaque_text(j)), (Some(a), Some(b)) if a == b)
                }
                (x, y) => x == y,
            })
    }

    // ---- references ----

    /// `*v`.
    pub(super) fn deref(&mut self, val: Val) -> Val {
        match val {
            Val::View(v) => Val::View(View {
                borrow: Borrow::Own,
                ..v
            }),
            Val::Elem(place) => self.at(place, Borrow::Own),
            Val::MutRef(var, path) => {
                let val = self.read_along(var, &path);
                self.owned(val, None)
            }
            other => self.owned(other, None),
        }
    }

    /// What is read out of a struct or tuple behind a reference: its arrays are values, unless its type, or where it comes
    /// from, says that they are references themselves.
    pub(super) fn owned(&self, val: Val, ty: Option<&syn::Type>) -> Val {
        match val {
            Val::View(view) if view.borrow.is_ref() => {
                let held = match ty {
                    Some(ty) => !matches!(crate::shape::peel(ty), syn::Type::Reference(_)),
                    // Of a parameter, only what is shared can be a reference: a copy is as good.
                    None => self.g.array(view.place.array).param.is_some(),
                };
                let sized = !matches!(self.view_shape(&view), Shape::Slice(_));
                if !(held && sized && view.window.is_none()) {
                    return Val::View(view);
                }
                let borrow = Borrow::Own;
                Val::View(View { borrow, ..view })
            }
            Val::Struct(ref of, ref all) => {
                let parts = all.iter().zip(&of.fields);
                let parts = parts.map(|(v, f)| self.owned(v.clone(), Some(&f.ty)));
                val.rebuilt(parts.collect())
            }
            Val::Tuple(ref all) => {
                let parts = all.iter().map(|v| self.owned(v.clone(), None));
                val.rebuilt(parts.collect())
            }
            other => other,
        }
    }

    /// What is bound or passed by value: an array that something else stands for is copied, for the original may change
    /// meanwhile, or the copy. A moved `Vec` is the same array under another name.
    pub(super) fn by_value(&mut self, val: Val, name: &str) -> Val {
        match val {
            Val::View(view) if !view.borrow.is_ref() => {
                let data = self.g.array(view.place.array);
                let fresh = view.place.path.is_empty()
                    && view.window.is_none()
                    && data.param.is_none()
                    && !self.named.contains(&view.place.array);
                if !fresh && (self.view_shape(&view).is_fixed() || view.window.is_some()) {
                    return Val::View(self.copied(&view, name));
                }
                Val::View(view)
            }
            Val::Tuple(ref all) | Val::Struct(_, ref all) => {
                let parts = all.iter().map(|v| self.by_value(v.clone(), name));
                val.rebuilt(parts.collect())
            }
            Val::Opt(some, inner) => Val::Opt(some, Box::new(self.by_value(*inner, name))),
            other => other,
        }
    }

    /// A value that nothing changes any more: its arrays are copied, whatever they are parts of.
    pub(super) fn held_apart(&mut self, val: Val, name: &str) -> Val {
        match val {
            Val::View(view) => Val::View(self.copied(&view, name)),
            Val::Tuple(ref all) | Val::Struct(_, ref all) => {
                let parts = all.iter().map(|v| self.held_apart(v.clone(), name));
                val.rebuilt(parts.collect())
            }
            Val::Opt(some, inner) => Val::Opt(some, Box::new(self.held_apart(*inner, name))),
            other => other,
        }
    }

    // ---- assignment ----

    /// A field of a constant: of a tuple in a table, of a struct from elsewhere.
    pub(super) fn constant_field(&mut self, of: Id, member: TokenStream) -> Val {
        let ty = self.g.types.fresh(Kind::Unknown);
        let opaque = Opaque {
            key: format!("field {member}"),
            form: OpaqueForm::Field(member),
            discrete: false,
        };
        Val::Num(self.g.opaque(opaque, &[of], ty))
    }

    /// Constant indexing of something that is not an array of this function: a `static` table.
    pub(super) fn constant_index(&mut self, base: Id, index: Id) -> Val {
        let ty = self.g.ty(index);
        self.g.types.learn(ty, Kind::Int("usize".into()));
        let ty = self.g.types.fresh(Kind::Unknown);
        let opaque = Opaque {
            key: "index".into(),
            form: OpaqueForm::Index,
            discrete: false,
        };
        Val::Num(self.g.opaque(opaque, &[base, index], ty))
    }
}

/// The arrays that a value consists of.
pub(super) fn views(val: &Val) -> Vec<&View> {
    match val {
        Val::View(view) => vec![view],
        _ => val.parts().into_iter().flatten().flat_map(views).collect(),
    }
}
