//! Methods of integers, `bool`s and constants from elsewhere: Rust as written, of which only the types are known.
//!
//! What must hold: what may panic is never dropped; a result whose type is not known is not guessed.

use super::Lower;
use super::value::Val;
use crate::errors::{self, Result};
use crate::graph::{Id, Opaque, OpaqueForm};
use crate::rules::Op;
use crate::types::{Kind, Ty};
use quote::quote;

/// Integer methods whose result has the receiver's type.
const SAME: [&str; 39] = [
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "wrapping_neg",
    "wrapping_div",
    "wrapping_rem",
    "wrapping_shl",
    "wrapping_shr",
    "wrapping_pow",
    "saturating_add",
    "saturating_sub",
    "saturating_mul",
    "saturating_pow",
    "pow",
    "rem_euclid",
    "div_euclid",
    "abs",
    "min",
    "max",
    "clamp",
    "signum",
    "rotate_left",
    "rotate_right",
    "isqrt",
    "div_ceil",
    "next_power_of_two",
    "swap_bytes",
    "reverse_bits",
    "wrapping_abs",
    "wrapping_rem_euclid",
    "wrapping_div_euclid",
    "wrapping_add_signed",
    "wrapping_add_unsigned",
    "wrapping_sub_unsigned",
    "saturating_neg",
    "saturating_div",
    "saturating_add_signed",
    "next_multiple_of",
    "midpoint",
];
/// Of those, the ones whose operands are of another type.
const U32_OPERAND: [&str; 7] = [
    "pow",
    "wrapping_pow",
    "saturating_pow",
    "wrapping_shl",
    "wrapping_shr",
    "rotate_left",
    "rotate_right",
];
const TO_U32: [&str; 9] = [
    "count_ones",
    "count_zeros",
    "leading_zeros",
    "trailing_zeros",
    "ilog2",
    "ilog10",
    "ilog",
    "leading_ones",
    "trailing_ones",
];
const TO_BOOL: [&str; 5] = [
    "is_power_of_two",
    "is_positive",
    "is_negative",
    "is_multiple_of",
    "is_empty",
];

impl Lower<'_> {
    /// A method of an integer, `bool` or constant from elsewhere.
    pub(super) fn constant_method(
        &mut self,
        at: &proc_macro2::Ident,
        name: &str,
        all: &[Id],
    ) -> Result<Val> {
        let ty = self.g.ty(all[0]);
        if let Some(val) = self.several(at, name, all) {
            return Ok(val);
        }
        let known = matches!(
            self.g.types.kind(ty),
            Kind::Int(_) | Kind::AnyInt | Kind::Bool
        );
        let result = if SAME.contains(&name)
            && (known
                || !U32_OPERAND.contains(&name) && name != "abs" && name != "signum"
                || all.len() > 1)
        {
            self.learn_operands(name, all);
            ty
        } else if let ("unsigned_abs" | "abs_diff", Kind::Int(of)) = (name, self.g.types.kind(ty)) {
            let unsigned = unsigned(of);
            self.learn_operands(name, all);
            self.g.types.fresh(Kind::Int(unsigned))
        } else if TO_U32.contains(&name) {
            self.g.types.fresh(Kind::Int("u32".into()))
        } else if TO_BOOL.contains(&name) {
            self.g.bool_ty()
        } else if matches!(name, "len" | "count" | "capacity") {
            self.g.usize_ty()
        } else if let ("unwrap_or", [_, other], Kind::Unknown | Kind::Other) =
            (name, all, self.g.types.kind(ty))
        {
            // An `Option` that is constant.
            self.g.ty(*other)
        } else if matches!(self.g.types.kind(ty), Kind::Unknown | Kind::Other)
            && (Op::from_method(name, all.len()).is_some() || name == "unwrap")
        {
            self.g.types.fresh(Kind::Unknown)
        } else {
            return self.reject(at, &errors::UNKNOWN_METHOD);
        };
        let opaque = Opaque {
            key: format!("method {name}"),
            form: OpaqueForm::Method(quote!(#at)),
            discrete: false,
        };
        Ok(self.pinned(|g| g.opaque(opaque, all, result)))
    }

    /// Methods that give an `Option` or a pair: `checked_add`, `overflowing_mul`.
    fn several(&mut self, at: &proc_macro2::Ident, name: &str, all: &[Id]) -> Option<Val> {
        let ty = self.g.ty(all[0]);
        if !self.g.types.is_int(ty) && !matches!(self.g.types.kind(ty), Kind::Unknown) {
            return None;
        }
        let (checked, plain) = match (
            name.strip_prefix("checked_"),
            name.strip_prefix("overflowing_"),
        ) {
            (Some(plain), _) => (true, plain),
            (_, Some(plain)) => (false, plain),
            _ => return None,
        };
        self.learn_operands(plain, all);
        let result = match plain {
            "ilog2" | "ilog10" | "ilog" => self.g.types.fresh(Kind::Int("u32".into())),
            _ => ty,
        };
        let whole = self.g.types.fresh(Kind::Other);
        let opaque = Opaque {
            key: format!("method {name}"),
            form: OpaqueForm::Method(quote!(#at)),
            discrete: false,
        };
        let whole = self.g.opaque(opaque, all, whole);
        let flag = self.g.bool_ty();
        Some(if checked {
            let some = self.g.opaque_method("is_some", &[whole], flag);
            let value = self.g.opaque_method("unwrap_or_default", &[whole], result);
            Val::Opt(some, Box::new(Val::Num(value)))
        } else {
            let value = self.field_of(whole, 0, result);
            Val::Tuple(vec![
                Val::Num(value),
                Val::Num(self.field_of(whole, 1, flag)),
            ])
        })
    }

    /// The operands beside the receiver have its type, or are shifts and exponents.
    fn learn_operands(&mut self, name: &str, all: &[Id]) {
        for &b in &all[1..] {
            let (ty, t) = (self.g.ty(all[0]), self.g.ty(b));
            if U32_OPERAND.contains(&name) || matches!(name, "shl" | "shr") {
                self.g.types.learn(t, Kind::Int("u32".into()));
            } else if !name.ends_with("_signed") && !name.ends_with("_unsigned") {
                self.g.types.unify(ty, t);
            }
        }
    }

    fn field_of(&mut self, pair: Id, k: usize, ty: Ty) -> Id {
        let member = syn::Index::from(k);
        let opaque = Opaque {
            key: format!("field {k}"),
            form: OpaqueForm::Field(quote!(#member)),
            discrete: false,
        };
        self.g.opaque(opaque, &[pair], ty)
    }
}

/// The unsigned integer type of the same size.
fn unsigned(of: &str) -> String {
    match of.strip_prefix('i') {
        Some(size) => format!("u{size}"),
        None => of.into(),
    }
}
