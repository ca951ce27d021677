//! Nodes: made once, and found again where they are computed a second time.
//!
//! In: an operation and its operands. Out: its id. What must hold: equal nodes are one, up to the order of the operands where that does
//! not matter, and constants are folded only where the bits stay those of the program.

use super::{Graph, Id, Node, NodeData, Opaque, OpaqueForm, RegionId, Stmt};
use crate::rules::Op;
use crate::types::{Kind, Ty};
use proc_macro2::{Span, TokenStream};
use std::rc::Rc;

impl Graph {
    /// A node that is not computed by a statement of its own: a parameter, a phi, a branch's result.
    pub fn bound(&mut self, node: Node, ty: Ty, region: Option<RegionId>) -> Id {
        let id = Id(self.nodes.len() as u32);
        let span = self.span.unwrap_or_else(Span::call_site);
        self.nodes.push(NodeData {
            node,
            ty,
            span,
            region,
            name: None,
            pinned: false,
        });
        id
    }

    /// A node computed here, or the one that already computes the same.
    pub fn compute(&mut self, node: Node, ty: Ty) -> Id {
        let Some(key) = self.key(&node) else {
            return self.place_here(node, ty);
        };
        if let Some(&id) = self.seen.get(&key) {
            self.types.unify(ty, self.ty(id));
            return id;
        }
        let id = self.place_here(node, ty);
        self.seen.insert(key.clone(), id);
        let here = self.here();
        self.entries.entry(here).or_default().push(key);
        id
    }

    /// What a statement of an existing node computes is known from here on.
    pub fn make_known(&mut self, id: Id) {
        let node = self.node(id).clone();
        if let Some(key) = self.key(&node)
            && !self.seen.contains_key(&key)
        {
            self.seen.insert(key.clone(), id);
            let here = self.here();
            self.entries.entry(here).or_default().push(key);
        }
    }

    pub(super) fn place_here(&mut self, node: Node, ty: Ty) -> Id {
        let here = self.here();
        // Paths, literals and fields are spelt where they are used: binding a field could move it.
        let inline = matches!(&node, Node::Opaque(k, _)
            if matches!(self.opaque_of(*k).form, OpaqueForm::Tokens(_) | OpaqueForm::Field(_)));
        if inline {
            return self.bound(node, ty, None);
        }
        let id = self.bound(node, ty, Some(here));
        self.push(Stmt::Let(id));
        id
    }

    /// What makes two nodes one. Each literal finds its own type, so literals are compared by their text, and a node whose
    /// operands are all literals is never shared: nothing ties its type to the other's.
    pub(super) fn key(&mut self, node: &Node) -> Option<Node> {
        let mut only_literals = true;
        let mut canon = |id: Id| {
            let id = self.resolve(id);
            let text = match self.node(id) {
                Node::Lit(bits) => format!("{bits} bits"),
                Node::Opaque(k, args) if args.is_empty() => self.opaque_of(*k).key.clone(),
                _ => {
                    only_literals = false;
                    return id;
                }
            };
            *self.literals.entry(text).or_insert(id)
        };
        let key = match node {
            Node::Apply(op, args) => Node::Apply(*op, args.iter().map(|&a| canon(a)).collect()),
            Node::Opaque(k, args) => Node::Opaque(*k, args.iter().map(|&a| canon(a)).collect()),
            Node::Cast(a, to) => Node::Cast(canon(*a), to.clone()),
            Node::Load(p, v) => {
                let key = Node::Load(p.clone().map(&mut canon), *v);
                return Some(key);
            }
            Node::Len(p, v) => {
                let key = Node::Len(p.clone().map(&mut canon), *v);
                return Some(key);
            }
            _ => return None,
        };
        (!only_literals).then_some(key)
    }

    /// A float constant.
    pub fn lit(&mut self, value: f64, ty: Ty) -> Id {
        self.bound(Node::Lit(value.to_bits()), ty, None)
    }

    /// A float constant of the type of another node.
    pub fn lit_like(&mut self, value: f64, like: Id) -> Id {
        let ty = self.ty(like);
        self.lit(value, ty)
    }

    /// The value of a float constant.
    pub fn constant(&self, id: Id) -> Option<f64> {
        match self.node(self.resolve(id)) {
            Node::Lit(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }

    /// A primitive applied as the user wrote it: never rewritten, so that the value stays bit for bit.
    pub fn apply_primal(&mut self, op: Op, args: &[Id]) -> Id {
        let args: Vec<Id> = args.iter().map(|&a| self.resolve(a)).collect();
        let ty = op.unify(
            &mut self.types,
            &args
                .iter()
                .map(|&a| self.nodes[a.0 as usize].ty)
                .collect::<Vec<_>>(),
        );
        self.compute(Node::Apply(op, args), ty)
    }

    /// A primitive in a gradient, where it may be rewritten to something shorter.
    pub fn apply(&mut self, op: Op, args: &[Id]) -> Id {
        let args: Vec<Id> = args.iter().map(|&a| self.resolve(a)).collect();
        if let Some(shorter) = crate::simplify::rewrite(self, op, &args) {
            return shorter;
        }
        let ty = op.unify(
            &mut self.types,
            &args
                .iter()
                .map(|&a| self.nodes[a.0 as usize].ty)
                .collect::<Vec<_>>(),
        );
        self.compute(Node::Apply(op, args), ty)
    }

    /// Constant Rust, kept as it is.
    pub fn opaque(&mut self, opaque: Opaque, args: &[Id], ty: Ty) -> Id {
        let args: Vec<Id> = args.iter().map(|&a| self.resolve(a)).collect();
        let index = self.opaque_index(opaque);
        self.compute(Node::Opaque(index, args), ty)
    }

    /// A call of a function on constants.
    pub fn opaque_call(&mut self, func: TokenStream, args: &[Id], ty: Ty) -> Id {
        let opaque = Opaque {
            key: format!("call {func}"),
            form: OpaqueForm::Call(func),
            discrete: false,
        };
        self.opaque(opaque, args, ty)
    }

    /// The number under which a piece of constant Rust is known.
    pub fn opaque_index(&mut self, opaque: Opaque) -> u32 {
        let key = format!("{} {}", opaque.key, opaque.discrete);
        let next = self.opaques.len() as u32;
        let index = *self.opaque_keys.entry(key).or_insert(next);
        if index == next {
            self.opaques.push(Rc::new(opaque));
        }
        index
    }

    /// `a op b` on constants.
    pub fn opaque_binary(&mut self, op: TokenStream, a: Id, b: Id, ty: Ty, discrete: bool) -> Id {
        let key = format!("binary {op}");
        self.opaque(
            Opaque {
                key,
                form: OpaqueForm::Binary(op),
                discrete,
            },
            &[a, b],
            ty,
        )
    }

    pub fn opaque_unary(&mut self, op: TokenStream, a: Id, ty: Ty) -> Id {
        let key = format!("unary {op}");
        self.opaque(
            Opaque {
                key,
                form: OpaqueForm::Unary(op),
                discrete: false,
            },
            &[a],
            ty,
        )
    }

    pub fn opaque_tokens(&mut self, tokens: TokenStream, ty: Ty) -> Id {
        let key = format!("tokens {tokens}");
        self.opaque(
            Opaque {
                key,
                form: OpaqueForm::Tokens(tokens),
                discrete: false,
            },
            &[],
            ty,
        )
    }

    pub fn opaque_of(&self, index: u32) -> &Opaque {
        &self.opaques[index as usize]
    }

    /// An integer constant, of a type that its use decides.
    pub fn integer_const(&mut self, value: i128) -> Id {
        let ty = self.types.fresh(Kind::AnyInt);
        let lit = proc_macro2::Literal::i128_unsuffixed(value.abs());
        self.opaque_tokens(
            if value < 0 {
                quote::quote!((-#lit))
            } else {
                quote::quote!(#lit)
            },
            ty,
        )
    }

    /// A method of a constant; `discrete` where its operands may be active.
    pub fn opaque_method(&mut self, name: &str, args: &[Id], ty: Ty) -> Id {
        let ident = proc_macro2::Ident::new(name, Span::mixed_site());
        let discrete = name.starts_with("is_");
        self.opaque(
            Opaque {
                key: format!("method {name}"),
                form: OpaqueForm::Method(quote::quote!(#ident)),
                discrete,
            },
            args,
            ty,
        )
    }

    pub fn bool_ty(&mut self) -> Ty {
        self.types.fresh(Kind::Bool)
    }
    pub fn usize_ty(&mut self) -> Ty {
        self.types.fresh(Kind::Int("usize".into()))
    }
    pub fn bool_const(&mut self, value: bool) -> Id {
        let ty = self.bool_ty();
        self.opaque_tokens(
            if value {
                quote::quote!(true)
            } else {
                quote::quote!(false)
            },
            ty,
        )
    }
    pub fn usize_const(&mut self, value: usize) -> Id {
        let ty = self.usize_ty();
        let lit = proc_macro2::Literal::usize_unsuffixed(value);
        self.opaque_tokens(quote::quote!(#lit), ty)
    }

    /// The value of an opaque literal, where it is one.
    pub fn opaque_text(&self, id: Id) -> Option<String> {
        match self.node(self.resolve(id)) {
            Node::Opaque(k, args) if args.is_empty() => match &self.opaque_of(*k).form {
                OpaqueForm::Tokens(t) => Some(t.to_string()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value of an integer literal, where it is one.
    pub fn integer(&self, id: Id) -> Option<i128> {
        let Node::Opaque(k, _) = self.node(self.resolve(id)) else {
            return None;
        };
        // The key of most literals is their text; tokens are dear to print.
        if let Some(Ok(n)) = self
            .opaque_of(*k)
            .key
            .strip_prefix("tokens ")
            .map(str::parse)
        {
            return Some(n);
        }
        let text = self.opaque_text(id)?;
        let bare = text.trim_matches(['(', ')', ' ']);
        let (sign, digits) = match bare.strip_prefix('-') {
            Some(rest) => (-1, rest.trim_start()),
            None => (1, bare),
        };
        let lit = syn::parse_str::<syn::LitInt>(digits).ok()?;
        lit.base10_parse::<i128>().ok().map(|n| sign * n)
    }

    /// The logical negation of a condition.
    pub fn not(&mut self, cond: Id) -> Id {
        match self.opaque_text(cond).as_deref() {
            Some("true") => return self.bool_const(false),
            Some("false") => return self.bool_const(true),
            _ => {}
        }
        if let Node::Opaque(k, args) = self.node(self.resolve(cond)).clone()
            && self.opaque_of(k).key == "unary !"
        {
            return args[0];
        }
        let ty = self.bool_ty();
        self.opaque_unary(quote::quote!(!), cond, ty)
    }

    /// The operands of a node.
    pub fn operands(&self, id: Id) -> Vec<Id> {
        match self.node(id) {
            Node::Apply(_, args) | Node::Opaque(_, args) => {
                args.iter().map(|&a| self.resolve(a)).collect()
            }
            Node::Cast(a, _) => vec![self.resolve(*a)],
            Node::Load(p, _) | Node::Len(p, _) | Node::Whole(p, _) => {
                p.indices().map(|i| self.resolve(i)).collect()
            }
            _ => Vec::new(),
        }
    }
}
