//! Arrays and their parts.
//!
//! In: places. Out: what they hold. What must hold: an index beyond an array is a panic of the function, not of the compiler.

use super::{Machine, Result, Scalar, Stop, Value, unknown};
use crate::graph::*;
use crate::shape::Shape;
use crate::types::Kind;

impl Machine<'_, '_> {
    pub(super) fn place(&self, p: &Place) -> Result<&Value> {
        let Some(mut at) = self.arrays[p.array.0 as usize].as_ref() else {
            return unknown(format!(
                "`{}`, which is out of scope",
                self.g().array(p.array).name
            ));
        };
        for step in &p.path {
            at = match (step, at) {
                (Step::Index(i), Value::List(all)) => {
                    let k = self.int(*i)?;
                    match usize::try_from(k).ok().and_then(|k| all.get(k)) {
                        Some(v) => v,
                        None => return Err(out_of_bounds(k, all.len())),
                    }
                }
                (Step::Field(k), Value::Tuple(all)) if (*k as usize) < all.len() => {
                    &all[*k as usize]
                }
                _ => return unknown("a part of an array"),
            };
        }
        Ok(at)
    }

    pub(super) fn place_mut(&mut self, p: &Place) -> Result<&mut Value> {
        let mut steps = Vec::new();
        for step in &p.path {
            steps.push(match step {
                Step::Index(i) => self.int(*i)?,
                Step::Field(k) => i128::from(*k),
            });
        }
        let Some(mut at) = self.arrays[p.array.0 as usize].as_mut() else {
            return unknown("an array that is out of scope");
        };
        for k in steps {
            at = match at {
                Value::List(all) | Value::Tuple(all) => {
                    let n = all.len();
                    match usize::try_from(k).ok().and_then(|k| all.get_mut(k)) {
                        Some(v) => v,
                        None => return Err(out_of_bounds(k, n)),
                    }
                }
                _ => return unknown("a part of an array"),
            };
        }
        Ok(at)
    }

    pub(super) fn element(&self, e: &Element) -> Result<Value> {
        match e {
            Element::Scalar(id) => match self.g().opaque_text(*id).as_deref() {
                Some("()") => Ok(Value::Unit),
                _ => Ok(Value::Scalar(self.value(*id)?)),
            },
            Element::Part(p) => Ok(self.place(p)?.clone()),
            Element::Tuple(all) => Ok(Value::Tuple(
                all.iter().map(|e| self.element(e)).collect::<Result<_>>()?,
            )),
        }
    }

    pub(super) fn zeros(&self, shape: &Shape) -> Result<Option<Value>> {
        Ok(Some(match shape {
            Shape::Float(_) => Value::Scalar(Scalar::Float(0.0)),
            Shape::Scalar(ty) => match self.g().types.kind(*ty) {
                Kind::Int(_) | Kind::AnyInt => Value::Scalar(Scalar::Int(0)),
                Kind::Bool => Value::Scalar(Scalar::Bool(false)),
                _ => Value::Scalar(Scalar::Float(0.0)),
            },
            Shape::Array(s, n) => {
                let Some(zero) = self.zeros(s)? else {
                    return Ok(None);
                };
                Value::List(vec![zero; self.e.constants.length(n)?])
            }
            Shape::Tuple(_) | Shape::Struct(_) => {
                let mut parts = Vec::new();
                for (_, s) in shape.parts().unwrap_or_default() {
                    let Some(part) = self.zeros(&s)? else {
                        return Ok(None);
                    };
                    parts.push(part);
                }
                Value::Tuple(parts)
            }
            Shape::Constant(_) | Shape::Unknown => Value::Unit,
            Shape::Slice(_) | Shape::Vec(_) => return Ok(None),
        }))
    }

    pub(super) fn declare(&mut self, array: ArrayId) -> Result<()> {
        let data = self.g().array(array);
        let value = match &data.init {
            Init::Given(_) => return Ok(()),
            Init::Returned(c) => {
                return unknown(format!("the call of `{}`", self.g().call(*c).path));
            }
            Init::Empty => Value::List(Vec::new()),
            Init::Zeros => match (self.zeros(&data.shape)?, data.len, &data.shape) {
                (Some(zeros), _, _) => zeros,
                (None, Some(len), Shape::Vec(s) | Shape::Slice(s)) if self.zeros(s)?.is_some() => {
                    let zero = self.zeros(s)?.unwrap_or(Value::Unit);
                    Value::List(vec![zero; self.int(len)?.max(0) as usize])
                }
                _ => match data.like {
                    Some(like) => self
                        .place(&Place {
                            array: like,
                            path: Vec::new(),
                        })?
                        .zeros(),
                    None => return unknown("an array of unknown shape"),
                },
            },
            Init::List(all) => {
                Value::List(all.iter().map(|e| self.element(e)).collect::<Result<_>>()?)
            }
            Init::Repeat(e) => {
                let n = match (&data.shape, data.len) {
                    (Shape::Array(_, n), _) => self.e.constants.length(n)?,
                    (_, Some(len)) => self.int(len)?.max(0) as usize,
                    _ => 0,
                };
                Value::List(vec![self.element(e)?; n])
            }
            Init::Copy(p) => self.place(p)?.clone(),
        };
        self.arrays[array.0 as usize] = Some(value);
        Ok(())
    }
}

pub(super) fn out_of_bounds(k: i128, n: usize) -> Stop {
    Stop::Panic(format!("index {k} of {n} elements"))
}
