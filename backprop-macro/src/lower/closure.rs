//! Functions as values: closures and nested functions are inlined, paths are called.
//!
//! What must hold: the body sees the names where the closure was written, and leaves those of the caller as they were.

use super::Lower;
use super::callee::Given;
use super::control::TargetKind;
use super::value::{Closure, Val};
use crate::errors::{self, Rejected, Result};
use crate::graph::Node;
use quote::ToTokens;
use std::rc::Rc;

impl Lower<'_> {
    /// Applies a function value: a closure, a nested function, or a path given as an argument.
    pub(super) fn apply(
        &mut self,
        f: &Val,
        args: Vec<Val>,
        at: &syn::ExprMethodCall,
    ) -> Result<Val> {
        self.apply_at(f, args, at)
    }

    pub(super) fn apply_at(&mut self, f: &Val, args: Vec<Val>, at: impl ToTokens) -> Result<Val> {
        match f {
            Val::Closure(c) => self.inline(&c.clone(), args, at),
            Val::Path(p) => {
                let p = p.clone();
                let mut ids = Vec::new();
                for v in &args {
                    if let Val::Num(id) = v {
                        ids.push(*id);
                    }
                }
                if let Some((ty, method)) = self.float_path(&p)
                    && ids.len() == args.len()
                {
                    let name = method.to_string();
                    if let ("from", [a]) = (name.as_str(), ids.as_slice()) {
                        return Ok(self.converted(&p, ty, *a));
                    }
                    return self.float_method(&method, &name, &ids);
                }
                let known = self.known(&p.path);
                let written = at.to_token_stream();
                let given = args
                    .into_iter()
                    .map(|v| Given::Value(v, false, written.clone()));
                self.call_path(&p, known, given.collect(), at)
            }
            Val::Poison => Err(Rejected),
            Val::Num(_) => {
                let called = at.to_token_stream().into_iter().next();
                let name = called.as_ref().map_or(String::new(), |t| t.to_string());
                self.errors_named(called, &errors::CALLED_VALUE, &name)
            }
            _ => self.reject(at, &errors::CLOSURE),
        }
    }

    fn inline(&mut self, c: &Rc<Closure>, args: Vec<Val>, at: impl ToTokens) -> Result<Val> {
        if c.inputs.len() != args.len() {
            return self.reject(at, &errors::CLOSURE);
        }
        self.inlined.push((c.clone(), at.to_token_stream()));
        if self.inlined.len() > super::MAX_INLINE {
            let rejected = self.too_deep(&at);
            self.inlined.pop();
            return rejected;
        }
        let scopes = if c.scopes.is_empty() {
            // A nested function sees the functions and constants around it, and no variables.
            self.functions_only()
        } else {
            c.scopes.clone()
        };
        let outer = std::mem::replace(&mut self.scopes, scopes);
        self.scopes.push(super::Scope::new());
        let target = self.push_target(TargetKind::Function, None);
        let exits = std::mem::take(&mut self.exits);
        let val = (|| {
            for (pat, val) in c.inputs.iter().zip(args) {
                let val = self.by_value(val, "argument");
                self.bind(pat, val)?;
            }
            self.expr(&c.body)
        })();
        let val = self.join_target(target, val);
        self.exits.extend(exits);
        self.scopes = outer;
        self.inlined.pop();
        val
    }

    /// Rejects what is nested too deeply: where a function calls itself, that call.
    pub(super) fn too_deep<T>(&self, at: &impl ToTokens) -> Result<T> {
        let Some((innermost, call)) = self.inlined.last() else {
            return self.reject(at, &errors::TOO_DEEP);
        };
        let again = self.inlined.iter().filter(|c| Rc::ptr_eq(&c.0, innermost));
        // A function may be handed to itself a few times.
        if again.count() < 8 {
            return self.reject(at, &errors::TOO_DEEP);
        }
        let name = call.clone().into_iter().next();
        let name = name.map_or(String::new(), |t| t.to_string());
        self.errors_named(call, &errors::INNER_RECURSION, &name)
    }

    fn functions_only(&self) -> Vec<super::Scope> {
        self.scopes
            .iter()
            .map(|scope| {
                let mut out = super::Scope::new();
                for (name, entries) in scope {
                    for (context, var) in entries {
                        let item = match &self.vars[var.0].val {
                            Val::Closure(c) => c.scopes.is_empty(),
                            Val::Num(id) => {
                                matches!(self.g.node(*id), Node::Opaque(_, args) if args.is_empty())
                                    && !self.vars[var.0].mutable
                            }
                            _ => false,
                        };
                        if item {
                            out.entry(name.clone())
                                .or_default()
                                .push((context.clone(), *var));
                        }
                    }
                }
                out
            })
            .collect()
    }
}
