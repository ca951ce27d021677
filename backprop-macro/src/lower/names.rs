//! Names: which variable one stands for, what that holds here, and what is put there.
//!
//! What must hold: a variable that is written is in the journal of the innermost open branch or loop, with what it held before.

use super::value::Val;
use super::{Lower, Scope, Var, VarId};
use crate::errors::{self, Result};
use proc_macro2::Ident;
use quote::quote;
use std::rc::Rc;

impl Lower<'_> {
    pub(super) fn declare(&mut self, ident: &Ident, val: Val, mutable: bool) -> VarId {
        let text = ident.to_string();
        let name: Rc<str> = text.trim_start_matches("r#").into();
        let var = self.new_var(name, val, mutable);
        let context = hygiene(ident);
        if let Some(scope) = self.scopes.last_mut() {
            let entries = scope.entry(text).or_default();
            entries.retain(|(c, _)| *c != context);
            entries.push((context, var));
        }
        var
    }

    pub(super) fn new_var(&mut self, name: Rc<str>, val: Val, mutable: bool) -> VarId {
        let val = match val {
            // What is assigned to later is a value, not another name of a constant.
            Val::Path(_) if mutable => self.num(val, quote!()).map_or(Val::Poison, Val::Num),
            val => val,
        };
        self.name_arrays(&val);
        if let Val::Num(id) = &val {
            let node = &mut self.g.nodes[id.0 as usize];
            if node.name.is_none() {
                node.name = Some(name.clone());
            }
        }
        self.vars.push(Var {
            name,
            val,
            frame: self.frames.len(),
            mutable,
        });
        VarId(self.vars.len() - 1)
    }

    fn name_arrays(&mut self, val: &Val) {
        match val {
            Val::View(view) => {
                self.named.insert(view.place.array);
            }
            Val::Tuple(all) | Val::Struct(_, all) => {
                all.iter().for_each(|v| self.name_arrays(v));
            }
            Val::Opt(_, inner) => self.name_arrays(inner),
            _ => {}
        }
    }

    /// The variable that a name stands for; `None` if it is none of this function's.
    pub(super) fn find(&self, ident: &Ident) -> Result<Option<VarId>> {
        let (text, context) = (ident.to_string(), hygiene(ident));
        let mut other = false;
        for scope in self.scopes.iter().rev() {
            if let Some(entries) = scope.get(&text) {
                if let Some((_, var)) = entries.iter().find(|(c, _)| *c == context) {
                    return Ok(Some(*var));
                }
                other = true;
            }
        }
        if other {
            return self.reject(ident, &errors::HYGIENE);
        }
        Ok(None)
    }

    pub(super) fn scoped<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(Scope::new());
        let out = f(self);
        self.scopes.pop();
        out
    }

    /// What a variable holds here.
    pub(super) fn read(&mut self, var: VarId) -> Val {
        self.sync(var);
        self.vars[var.0].val.clone()
    }

    /// What stands at a part of a variable.
    pub(super) fn read_along(&mut self, var: VarId, path: &[u32]) -> Val {
        let val = self.read(var);
        val.along(path).cloned().unwrap_or(Val::Poison)
    }

    /// Gives a variable a value.
    pub(super) fn write(&mut self, var: VarId, val: Val) {
        self.name_arrays(&val);
        self.sync(var);
        let old = std::mem::replace(&mut self.vars[var.0].val, val);
        if let Some(journal) = self.journals.last_mut() {
            journal.entry(var).or_insert(old);
        }
        if let Val::Num(id) = &self.vars[var.0].val {
            let name = self.vars[var.0].name.clone();
            let node = &mut self.g.nodes[id.0 as usize];
            if node.name.is_none() {
                node.name = Some(name);
            }
        }
    }
}

/// The hygiene context of an identifier: two variables of one name differ in it. It is what `Debug` shows before the
/// position; stable Rust has no other way to ask.
pub fn hygiene(ident: &Ident) -> String {
    let text = format!("{:?}", ident.span());
    match text.split_once(' ') {
        Some((context, _)) if context.starts_with('#') => context.to_string(),
        _ => String::new(),
    }
}
