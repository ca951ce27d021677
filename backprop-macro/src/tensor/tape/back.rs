//! Loops in Rust, backward: last iteration first.
//!
//! In: a [`Loop`] and its steps. Out: statements, before which stands what they mention: shapes, constants and views are computed again, the
//! rest is read from what the iteration kept. What must hold: [`Emit::plan`] has run, and has found the same names.

use super::*;

/// How floats that are summed go through a loop: before it, at the start and at the end of an iteration, and after it.
#[derive(Default)]
pub struct Sums {
    pub before: TokenStream,
    pub start: TokenStream,
    pub end: TokenStream,
    pub after: TokenStream,
}

impl Emit<'_> {
    /// What an iteration starts from, on the way back.
    fn inside_again(&self, v: V, id: usize) -> Option<TokenStream> {
        let l = &self.g.loops[id];
        let c = l.carried.iter().find(|c| c.inside == v)?;
        let (t, init, next) = (tensor_name(v), tensor_name(c.init), tensor_name(c.next));
        self.keep(id, &next.to_string(), Held::Slot(self.g.rank(v)));
        let (tape, k, next) = (tape_name(id), numbered("k", id), field(&next));
        Some(quote! {
            let #t = match ::core::primitive::usize::checked_sub(#k, 1) {
                ::core::option::Option::Some(before) => #tape[before].#next.view(),
                ::core::option::Option::None => #init.view(),
            };
        })
    }

    /// The adjoints of floats outside of a loop, that its iterations add to.
    pub fn sums(&self, id: usize, floats: &[V]) -> Sums {
        let mut out = Sums::default();
        for &v in floats {
            let (d, sum) = (
                adjoint(v),
                format_ident!("__sum{}_{}", id, v.0, span = Span::mixed_site()),
            );
            out.before.extend(quote!(let mut #sum = #d;));
            out.start.extend(quote!(let #d = #sum;));
            out.end.extend(quote!(#sum = #d;));
            out.after.extend(quote!(let #d = #sum;));
        }
        out
    }

    /// A loop, backward: its steps, and what they mention.
    pub fn run_back(
        &self,
        id: usize,
        body: &[Step],
        floats: &[V],
        started: &mut BTreeSet<V>,
    ) -> TokenStream {
        let l = &self.g.loops[id];
        let Sums {
            before: mut starts,
            start: mut before,
            end: mut after,
            after: mut ends,
        } = self.sums(id, floats);
        let handed_on =
            |c: &&Carried| self.g.active(c.inside) && !self.g.places.contains_key(&c.after);
        for c in l.carried.iter().filter(handed_on) {
            let (last, next, inside) = (adjoint(c.after), adjoint(c.next), adjoint(c.inside));
            if !self.g.is_tensor(c.inside) {
                let carry = format_ident!("__carry{}", c.inside.0, span = Span::mixed_site());
                starts.extend(quote!(let mut #carry = #last;));
                before.extend(quote!(let #next = #carry;));
                after.extend(quote!(#carry = #inside;));
                ends.extend(quote!(let #last = #carry;));
                continue;
            }
            started.insert(c.next);
            let rank = self.g.rank(c.inside);
            let (a, b, d) = (
                self.slot(&last, rank),
                self.slot(&next, rank),
                self.slot(&inside, rank),
            );
            before.extend(quote!(::core::mem::swap(#a, #b); let #next = #b;));
            after.extend(quote!(::core::mem::swap(#a, #d);));
            ends.extend(quote!(let #last = #a;));
        }
        let mut steps = TokenStream::new();
        for step in body {
            steps.extend(self.step(step, false, &[], started));
        }
        let again = self.again(id, &mentioned(&steps));
        let (count, index, k) = (const_name(l.count), const_name(l.index), numbered("k", id));
        quote! {
            #starts
            for #k in (0..#count).rev() {
                let #index = #k;
                #again
                #before
                #steps
                #after
            }
            #ends
        }
    }

    /// What a body's backward pass mentions: computed again, or read from what the iteration kept.
    fn again(&self, id: usize, mentioned_names: &BTreeSet<String>) -> TokenStream {
        let l = &self.g.loops[id];
        let mut wanted = mentioned_names.clone();
        let mut out: Vec<TokenStream> = Vec::new();
        let (tape, k) = (tape_name(id), numbered("k", id));
        let read = |name: &str| -> TokenStream {
            let Some(held) = self.held.borrow().get(name).cloned() else {
                return TokenStream::new();
            };
            let to = ident(name);
            let f = field(&to);
            let tokens = match held {
                Held::Slot(_) => quote!(let #to = #tape[#k].#f.view();),
                Held::Scalar | Held::Const(_) => quote!(let #to = #tape[#k].#f;),
                Held::Dim(_) => quote!(let #to = ::core::clone::Clone::clone(&#tape[#k].#f);),
                Held::Tape(_) => quote!(let #to = &#tape[#k].#f[..];),
                Held::Param(_) | Held::Again(_) => return TokenStream::new(),
            };
            self.keep(id, name, held);
            tokens
        };
        let insides: BTreeMap<String, V> = l
            .carried
            .iter()
            .map(|c| {
                let name = match self.g.is_tensor(c.inside) {
                    true => tensor_name(c.inside),
                    false => scalar_name(c.inside),
                };
                (name.to_string(), c.inside)
            })
            .collect();
        for line in self.lines(&l.stmts).iter().rev() {
            let needed: Vec<&String> = line.names.iter().filter(|n| wanted.contains(*n)).collect();
            if needed.is_empty() {
                continue;
            }
            let inside = needed.iter().find_map(|n| insides.get(*n)).copied();
            if let Some(v) = inside.filter(|&v| self.g.is_tensor(v)) {
                let tokens = self.inside_again(v, id).unwrap_or_default();
                wanted.extend(mentioned(&tokens));
                out.push(tokens);
            } else if matches!(line.again, Again::Keep | Again::Loop) {
                for &name in &needed {
                    out.push(read(name));
                }
                let made: Vec<TokenStream> = needed
                    .iter()
                    .filter_map(|n| match self.held.borrow().get(*n) {
                        Some(Held::Again(tokens)) => Some(tokens.clone()),
                        _ => None,
                    })
                    .collect();
                for tokens in made {
                    wanted.extend(mentioned(&tokens));
                    out.push(tokens);
                }
            } else {
                wanted.extend(mentioned(&line.tokens));
                out.push(line.tokens.clone());
            }
        }
        for (name, &v) in &insides {
            if !self.g.is_tensor(v) && wanted.contains(name) {
                out.push(read(name));
            }
        }
        for c in &l.consts {
            let name = const_name(c.inside).to_string();
            if wanted.contains(&name) {
                out.push(read(&name));
            }
        }
        out.reverse();
        quote!(#(#out)*)
    }
}
