//! Loops over what is counted while running: the front end.
//!
//! In: a `for` whose items are constants, rows of tensors, elements of vectors, arrays of a list, or several of these side by
//! side. Out: a [`Loop`] of the graph. Its body is lowered once, with one value for each variable that it changes. Which these are, and
//! which of them depend on a parameter, shows when it has been lowered: then it is lowered again, until nothing is new.
//! What must hold: what the loop hands to its next iteration is computed in its body, and is handed on once.

use crate::errors::{self, Rejected, Result};
use crate::tensor::emit::{dim_name, tensor_name};
use crate::tensor::graph::*;
use crate::tensor::lower::{Lower, Nest, Scope, SpanOf, Val, Zip, const_name};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// What a loop runs over: its items by their positions.
#[derive(Clone)]
enum Sequence {
    /// A constant iterator that can be cloned.
    Const(syn::Expr),
    /// Subviews of a tensor along an axis.
    Axis(V, TokenStream),
    /// The elements of a vector.
    Elements(V),
    /// The tensors of a list.
    List(V),
    Zip(Box<Sequence>, Box<Sequence>),
    Enumerate(Box<Sequence>),
    /// From the last to the first, of so many.
    Rev(Box<Sequence>, syn::Expr),
}

/// A variable that a loop changes: where it stands, and whether it depends on a parameter.
#[derive(Clone, PartialEq)]
struct Changed {
    scope: usize,
    name: String,
    context: String,
    active: bool,
}

impl Lower<'_> {
    /// A loop whose number of iterations is known while running only.
    pub fn counted_loop(&mut self, f: &syn::ExprForLoop) -> Result<Val> {
        let sequence = self.sequence(&f.expr)?;
        let count = self.length(&sequence);
        let count = self.g.new_const(count.to_token_stream());
        self.repeated(count, &f.expr, &|l, k| {
            let item = l.item(&sequence, k, f)?;
            l.bind(&f.pat, item, None)?;
            l.block(&f.body).map(|_| ())
        })?;
        Ok(Val::Unit)
    }

    /// A body that is run so many times, and may change variables.
    pub fn repeated(
        &mut self,
        count: C,
        at: &dyn ToTokens,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
    ) -> Result<()> {
        let mut changed: Vec<Changed> = Vec::new();
        loop {
            let (graph, scopes, items) = (self.g.clone(), self.scopes.clone(), self.items.len());
            match self.attempt(at, body, count, &changed)? {
                None => return Ok(()),
                Some(more) => {
                    (self.g, self.scopes) = (graph, scopes);
                    self.items.truncate(items);
                    changed = more;
                }
            }
        }
    }

    /// Lowers the body; or tells which variables it changes, where these are others than was assumed.
    fn attempt(
        &mut self,
        at: &dyn ToTokens,
        body: &dyn Fn(&mut Self, TokenStream) -> Result<()>,
        count: C,
        changed: &[Changed],
    ) -> Result<Option<Vec<Changed>>> {
        let span = at.span_of();
        let mut inits = Vec::new();
        for c in changed {
            let Some(val) = self.entry(c).map(|v| v.clone()) else {
                return Err(Rejected);
            };
            inits.push(match val {
                Val::Tensor(v) | Val::Scalar(v) => v,
                Val::Const(e) if self.is_float(&e) => self.map(e, Vec::new(), None, span),
                _ => return Err(self.reject_changed(at, &c.name)),
            });
        }

        let id = self.g.loops.len();
        self.g.loops.push(Loop {
            count,
            index: C(0),
            stmts: Vec::new(),
            carried: Vec::new(),
        });
        let outside = (std::mem::take(&mut self.g.stmts), self.g.region);
        self.g.region = id + 1;
        let mut insides = Vec::new();
        for (c, &init) in changed.iter().zip(&inits) {
            let ty = self.shape_of_next(init);
            let v = self.g.push(Op::Inside { init, of: id }, ty, span);
            self.g.values[v.0 as usize].active |= c.active;
            self.own_shape(v);
            let val = self.value_of(v);
            if let Some(entry) = self.entry(c) {
                *entry = val;
            }
            insides.push(v);
        }
        let before = self.scopes.clone();
        let index = self.g.new_const(TokenStream::new());
        self.g.stmts.pop();
        self.g.loops[id].index = index;
        self.scopes.push(Scope::new());
        let done = body(self, const_name(index).to_token_stream());
        self.scopes.pop();
        done?;

        let mut more: Vec<Changed> = changed.to_vec();
        for c in self.differences(&before) {
            if !more
                .iter()
                .any(|m| (m.scope, &m.name, &m.context) == (c.scope, &c.name, &c.context))
            {
                more.push(c);
            }
        }
        if more.len() > changed.len() {
            return Ok(Some(more));
        }
        let mut nexts: Vec<V> = Vec::new();
        for (k, c) in changed.iter().enumerate() {
            let next = match self.entry(c).map(|v| v.clone()) {
                Some(Val::Tensor(v))
                    if self.g.rank(v) == self.g.rank(insides[k])
                        && self.g.is_tensor(insides[k]) =>
                {
                    v
                }
                Some(Val::Scalar(v)) if !self.g.is_tensor(insides[k]) => v,
                Some(Val::Const(e)) if !self.g.is_tensor(insides[k]) => {
                    self.map(e, Vec::new(), None, span)
                }
                _ => return Err(self.reject_changed(at, &c.name)),
            };
            let next = self.own(next, id, &nexts);
            if self.g.active(next) && !self.g.active(insides[k]) {
                more[k].active = true;
            }
            nexts.push(next);
        }
        if more != changed {
            return Ok(Some(more));
        }

        let stmts = std::mem::replace(&mut self.g.stmts, outside.0);
        self.g.region = outside.1;
        self.g.stmts.push(Stmt::Loop(id));
        self.g.loops[id].stmts = stmts;
        for (k, c) in changed.iter().enumerate() {
            let (init, inside, next) = (inits[k], insides[k], nexts[k]);
            let ty = self.shape_of_next(init);
            let after = self.g.push(Op::After { init, next, of: id }, ty, span);
            self.own_shape(after);
            self.g.loops[id].carried.push(Carried {
                init,
                inside,
                next,
                after,
            });
            let val = self.value_of(after);
            let name = syn::Ident::new(c.name.trim_start_matches("r#"), span);
            for v in [inside, next, after] {
                let known = &mut self.g.values[v.0 as usize].name;
                known.get_or_insert(name.to_string());
            }
            if let Some(entry) = self.entry(c) {
                *entry = val;
            }
        }
        Ok(None)
    }

    fn reject_changed(&self, at: &dyn ToTokens, name: &str) -> Rejected {
        self.errors.reject_named(at, &errors::TENSOR_CARRIED, name)
    }

    /// The type of a value of the same rank, whose shape is its own.
    fn shape_of_next(&self, like: V) -> Ty {
        match self.g.value(like).ty {
            Ty::Scalar => Ty::Scalar,
            Ty::Tensor(rank, _) | Ty::List(rank) => Ty::Tensor(rank, Dim(self.g.dims.len() as u32)),
        }
    }

    /// The shape of a value made with [`Lower::shape_of_next`].
    fn own_shape(&mut self, v: V) {
        if let Ty::Tensor(rank, _) = self.g.value(v).ty {
            self.g.new_dim(DimOp::Of(v), rank);
        }
    }

    /// A value computed in this region in a place of its own, and in none of `taken`.
    fn own(&mut self, v: V, id: usize, taken: &[V]) -> V {
        let value = self.g.value(v);
        let computed = !matches!(
            value.op,
            Op::Param(_) | Op::View(..) | Op::Item(..) | Op::Inside { .. } | Op::After { .. }
        );
        if computed && value.region == id + 1 && !taken.contains(&v) {
            return v;
        }
        let (a, dim, span) = (operand(v), self.g.dim(v), value.span);
        self.map(syn::parse_quote!(#a), vec![v], dim, span)
    }

    fn entry(&mut self, c: &Changed) -> Option<&mut Val> {
        let entries = self.scopes.get_mut(c.scope)?.get_mut(&c.name)?;
        entries
            .iter_mut()
            .find(|(context, _)| *context == c.context)
            .map(|e| &mut e.1)
    }

    /// The variables that differ from what they were, in a fixed order.
    fn differences(&self, before: &[Scope]) -> Vec<Changed> {
        let mut out = Vec::new();
        for (scope, (old, new)) in before.iter().zip(&self.scopes).enumerate() {
            let mut names: Vec<&String> = old.keys().collect();
            names.sort();
            for name in names {
                for (context, val) in &old[name] {
                    let now = new[name].iter().find(|(c, _)| c == context).map(|e| &e.1);
                    if now.is_none_or(|now| !unchanged(val, now)) {
                        out.push(Changed {
                            scope,
                            name: name.clone(),
                            context: context.clone(),
                            active: false,
                        });
                    }
                }
            }
        }
        out
    }

    /// A float by its spelling: what a loop may count up in.
    fn is_float(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Lit(l) => matches!(&l.lit, syn::Lit::Float(_)),
            syn::Expr::Paren(p) => self.is_float(&p.expr),
            syn::Expr::Group(p) => self.is_float(&p.expr),
            syn::Expr::Unary(u) => self.is_float(&u.expr),
            syn::Expr::Binary(b) => self.is_float(&b.left) || self.is_float(&b.right),
            // `let x: f64 = …` stands for `{ let value: f64 = …; value }`.
            syn::Expr::Block(b) => match b.block.stmts.first() {
                Some(syn::Stmt::Local(l)) => match &l.pat {
                    syn::Pat::Type(t) => crate::tensor::signature::is_float(&t.ty, self.sig),
                    _ => false,
                },
                _ => false,
            },
            syn::Expr::Call(c) => {
                matches!(&*c.func, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "zero" || s.ident == "one"))
            }
            syn::Expr::Path(p) => {
                let found = p.path.get_ident().and_then(|ident| {
                    let n: usize = ident.to_string().strip_prefix("__c")?.parse().ok()?;
                    self.g.consts.get(n)
                });
                match found {
                    Some(tokens) => {
                        syn::parse2(tokens.clone()).is_ok_and(|e: syn::Expr| self.is_float(&e))
                    }
                    None => {
                        p.path.segments.len() == 2
                            && ["f64", "f32"].iter().any(|f| p.path.segments[0].ident == f)
                    }
                }
            }
            _ => false,
        }
    }

    // ---- what a loop runs over ----

    fn sequence(&mut self, e: &syn::Expr) -> Result<Sequence> {
        match e {
            syn::Expr::Paren(p) => return self.sequence(&p.expr),
            syn::Expr::Group(p) => return self.sequence(&p.expr),
            syn::Expr::Reference(r) if r.mutability.is_none() => return self.sequence(&r.expr),
            syn::Expr::MethodCall(m) => {
                let args: Vec<&syn::Expr> = m.args.iter().collect();
                match (m.method.to_string().as_str(), args.as_slice()) {
                    ("zip", [other]) => {
                        let a = self.sequence(&m.receiver)?;
                        let b = self.sequence(other)?;
                        return Ok(Sequence::Zip(Box::new(a), Box::new(b)));
                    }
                    ("enumerate", []) => {
                        return Ok(Sequence::Enumerate(Box::new(self.sequence(&m.receiver)?)));
                    }
                    ("rev", []) => {
                        let inner = self.sequence(&m.receiver)?;
                        let n = self.length(&inner);
                        let n = self.constant_name(n.to_token_stream());
                        return Ok(Sequence::Rev(Box::new(inner), n));
                    }
                    ("into_iter" | "iter" | "copied" | "cloned", [])
                        if matches!(&*m.receiver, syn::Expr::MethodCall(_)) =>
                    {
                        let inner = self.sequence(&m.receiver)?;
                        if !matches!(inner, Sequence::Const(_)) {
                            return Ok(inner);
                        }
                    }
                    (
                        "rows" | "genrows" | "outer_iter" | "axis_iter" | "columns" | "gencolumns",
                        args,
                    ) => {
                        let v = self.tensor(&m.receiver)?;
                        let name = m.method.to_string();
                        let axis = match (name.as_str(), args, self.g.rank(v)) {
                            ("axis_iter", [axis], _) => self.argument(axis)?,
                            ("outer_iter", [], _) | ("rows" | "genrows", [], Some(2)) => {
                                quote!(::backprop::tensor::ndarray::Axis(0))
                            }
                            ("columns" | "gencolumns", [], Some(2)) => {
                                quote!(::backprop::tensor::ndarray::Axis(1))
                            }
                            _ => return self.reject(e, &errors::TENSOR_LOOP),
                        };
                        return Ok(Sequence::Axis(v, axis));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        match self.expr(e)? {
            Val::List(v) => Ok(Sequence::List(v)),
            Val::Tensor(v) if self.g.rank(v) == Some(1) => Ok(Sequence::Elements(v)),
            Val::Zip(Zip {
                parts,
                pattern: Nest::Part(0),
                ..
            }) => match parts.as_slice() {
                [Val::Tensor(v)] if self.g.rank(*v) == Some(1) => Ok(Sequence::Elements(*v)),
                _ => self.reject(e, &errors::TENSOR_LOOP),
            },
            Val::Const(c) => {
                // It is run more than once: a closure could have a state.
                let mut closures = Closures(false);
                syn::visit::Visit::visit_expr(&mut closures, e);
                if closures.0 {
                    return self.reject(e, &errors::TENSOR_LOOP);
                }
                let name = self.constant_name(quote!(::core::iter::IntoIterator::into_iter(#c)));
                Ok(Sequence::Const(name))
            }
            _ => self.reject(e, &errors::TENSOR_LOOP),
        }
    }

    fn length(&self, s: &Sequence) -> syn::Expr {
        match s {
            Sequence::Const(it) => {
                syn::parse_quote!(::core::iter::Iterator::count(::core::clone::Clone::clone(&#it)))
            }
            Sequence::Axis(v, axis) => {
                let n = self.g.dim(*v).map(dim_name);
                syn::parse_quote!(#n[(#axis).index()])
            }
            Sequence::Elements(v) => {
                let n = self.g.dim(*v).map(dim_name);
                syn::parse_quote!(#n[0])
            }
            Sequence::List(v) => {
                let t = tensor_name(*v);
                syn::parse_quote!(#t.len())
            }
            Sequence::Zip(a, b) => {
                let (a, b) = (self.length(a), self.length(b));
                syn::parse_quote!(::core::cmp::Ord::min(#a, #b))
            }
            Sequence::Enumerate(a) => self.length(a),
            Sequence::Rev(_, n) => n.clone(),
        }
    }

    /// The item at a position.
    fn item(&mut self, s: &Sequence, k: TokenStream, at: &syn::ExprForLoop) -> Result<Val> {
        let span = (&at.expr as &dyn ToTokens).span_of();
        Ok(match s {
            Sequence::Const(it) => Val::Const(self.constant_name(quote! {
                ::core::option::Option::unwrap(::core::iter::Iterator::nth(&mut ::core::clone::Clone::clone(&#it), #k))
            })),
            Sequence::Axis(v, axis) => {
                let view = View {
                    form: quote!(.index_axis_move(#axis, #k)),
                    whole: false,
                };
                let rank = self.g.rank(*v).map(|r| r.saturating_sub(1));
                Val::Tensor(self.view(*v, view, rank, span)?)
            }
            Sequence::Elements(v) => Val::Scalar(self.g.push(
                Op::Get(*v, quote!([#k])),
                Ty::Scalar,
                span,
            )),
            Sequence::List(v) => Val::Tensor(self.list_item(*v, k, span)),
            Sequence::Zip(a, b) => {
                let a = self.item(a, k.clone(), at)?;
                Val::Tuple(vec![a, self.item(b, k, at)?])
            }
            Sequence::Enumerate(a) => {
                let item = self.item(a, k.clone(), at)?;
                Val::Tuple(vec![Val::Const(syn::parse_quote!(#k)), item])
            }
            Sequence::Rev(a, n) => {
                let k = self.constant_name(quote!(#n - 1 - #k)).to_token_stream();
                self.item(a, k, at)?
            }
        })
    }

    /// One tensor of a list.
    pub fn list_item(&mut self, list: V, k: TokenStream, span: proc_macro2::Span) -> V {
        let rank = self.g.rank(list);
        let dim = Dim(self.g.dims.len() as u32);
        let v = self.g.push(Op::Item(list, k), Ty::Tensor(rank, dim), span);
        self.g.new_dim(DimOp::Of(v), rank);
        v
    }
}

struct Closures(bool);
impl<'ast> syn::visit::Visit<'ast> for Closures {
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {
        self.0 = true;
    }
}

/// Whether a variable still holds what it held.
fn unchanged(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Tensor(a), Val::Tensor(b))
        | (Val::Scalar(a), Val::Scalar(b))
        | (Val::List(a), Val::List(b)) => a == b,
        (Val::Const(a), Val::Const(b)) => {
            a.to_token_stream().to_string() == b.to_token_stream().to_string()
        }
        (Val::Tuple(a), Val::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| unchanged(a, b))
        }
        (Val::Struct(a), Val::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(&**b).all(|(a, b)| unchanged(&a.2, &b.2))
        }
        (Val::Closure(a), Val::Closure(b)) => std::rc::Rc::ptr_eq(a, b),
        (Val::Opt(a), Val::Opt(b)) => unchanged(a, b),
        (Val::Unit, Val::Unit) | (Val::Zip(_), Val::Zip(_)) => true,
        _ => false,
    }
}
