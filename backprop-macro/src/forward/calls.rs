//! Calls of annotated functions: each becomes one of the callee's `jvp`.
//!
//! In: a call with an active argument. Out: the same call with a tangent after the arguments for each that the callee
//! differentiates, and beside its results theirs. Must hold: what the callee's `jvp` takes and returns is in the types of the emitted
//! code, so that another signature is rustc's error and never a wrong tangent.

use super::*;

impl Forward<'_> {
    pub(super) fn call(&mut self, c: CallId) {
        let mut call = self.g.call(c).clone();
        let outs = call.outs.iter().any(|&o| self.active(o));
        if !outs && !call.arrays().any(|a| self.activity.array(a)) {
            self.g.push(Stmt::Call(c));
            return;
        }
        for p in call.passed.clone() {
            if p.constant {
                continue;
            }
            let Some(form) = self.argument(&p.form, &mut call) else {
                continue;
            };
            let is_array =
                matches!(form, Form::Leaf(k) if matches!(call.args[k], Argument::Array { .. }));
            let pass = match &p.pass {
                Pass::Mut(after) => Pass::Mut(self.result(after, c, &mut call)),
                _ if is_array => Pass::Ref,
                _ => Pass::Value,
            };
            let form = match form {
                Form::Parts(..) => Form::Tangent(Box::new(p.form), Box::new(form)),
                form => form,
            };
            call.passed.push(Passed {
                form,
                pass,
                constant: false,
                at: p.at,
            });
        }
        if let Some(value) = call.returns.take() {
            let tangent = self.result(&value, c, &mut call);
            let pair = Shape::Tuple(vec![Shape::Unknown; 2]);
            call.returns = Some(Form::Parts(pair, vec![value, tangent]));
        }
        call.path = call.callee.derivative("jvp");
        *self.g.call_mut(c) = call;
        self.g.push(Stmt::Call(c));
    }

    /// The tangents of an argument, added to the call's; `None` where it holds no floats.
    fn argument(&mut self, form: &Form, call: &mut Call) -> Option<Form> {
        let leaf = match form {
            Form::Leaf(k) => match &call.args[*k] {
                Argument::Scalar { value } if self.g.is_float(*value) => Argument::Scalar {
                    value: self.tangent_or_zero(*value),
                },
                Argument::Array { place, .. } if self.g.shape_at(place).has_floats() => {
                    let place = match self.shadow(place) {
                        Some(place) => place,
                        None => Place {
                            array: self.zero_shadow(place.array),
                            path: place.path.clone(),
                        },
                    };
                    let held = self.g.whole(&place);
                    Argument::Array { place, held }
                }
                _ => return None,
            },
            Form::Whole(_, parts) => return self.argument(parts, call),
            Form::Parts(shape, all) => {
                let all: Vec<Option<Form>> = all.iter().map(|f| self.argument(f, call)).collect();
                if all.iter().all(Option::is_none) {
                    return None;
                }
                let none = || Form::Tokens(TokenStream::new());
                let all = all.into_iter().map(|f| f.unwrap_or_else(none));
                return Some(Form::Parts(shape.clone(), all.collect()));
            }
            Form::Tokens(_) | Form::Tangent(..) => return None,
        };
        call.args.push(leaf);
        Some(Form::Leaf(call.args.len() - 1))
    }

    /// The tangents of a result, added to the call's.
    fn result(&mut self, form: &Form, c: CallId, call: &mut Call) -> Form {
        let leaf = match form {
            Form::Leaf(r) => match call.results[*r] {
                Returned::Scalar(id) if self.g.is_float(id) => {
                    let (ty, here) = (self.g.ty(id), self.g.here());
                    let node = Node::CallOut(c, call.outs.len() as u32);
                    let t = self.g.bound(node, ty, Some(here));
                    call.outs.push(t);
                    self.set(id, t);
                    Returned::Scalar(t)
                }
                Returned::Array(a) if self.g.array(a).shape.has_floats() => {
                    let data = self.g.array(a).clone();
                    let name = format!("t_{}", data.name);
                    let t = self
                        .g
                        .new_array(&name, data.shape, data.init, Span::call_site());
                    let array = self.g.array_mut(t);
                    (array.shadow, array.like) = (true, Some(a));
                    self.shadows.insert(a, t);
                    Returned::Array(t)
                }
                _ => return Form::Tokens(TokenStream::new()),
            },
            Form::Parts(shape, all) => {
                let all = all.iter().map(|f| self.result(f, c, call)).collect();
                return Form::Parts(shape.clone(), all);
            }
            Form::Tokens(_) | Form::Whole(..) | Form::Tangent(..) => {
                return Form::Tokens(TokenStream::new());
            }
        };
        call.results.push(leaf);
        Form::Leaf(call.results.len() - 1)
    }
}

/// Rejects the calls that have no tangent; whether there were none.
pub(super) fn have_tangents(primal: &Primal, activity: &Activity, errors: &Errors) -> bool {
    let g = &primal.graph;
    let mut all = true;
    for call in &g.calls {
        if !call.args.iter().any(|a| activity.argument(g, a)) {
            continue;
        }
        let structs = |a: &Argument| match a {
            Argument::Array { place, .. } => {
                let array = g.array(place.array);
                let as_it_came = matches!(array.init, Init::Given(_)) && !array.mutated;
                !as_it_came && g.shape_at(place).has_structs()
            }
            Argument::Scalar { .. } => false,
        };
        let path = errors::plain(&call.path);
        if call.has_jvp == Some(false) {
            errors.reject_at(call.span, &errors::JVP_CALL, &path);
            all = false;
        } else if call.args.iter().any(structs) {
            errors.reject_at(call.span, &errors::JVP_STRUCTS, &path);
            all = false;
        }
    }
    all
}
