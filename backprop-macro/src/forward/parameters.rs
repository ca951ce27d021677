//! Tangents of parameters: read from the caller, or zero.
//!
//! In: the primal's parameters. Out: a tangent for each of their scalars, a shadow for each of their arrays. Must hold: the caller's
//! tangents change only where the parameters do, behind `&mut`.

use super::*;

impl Forward<'_> {
    pub(super) fn parameters(&mut self, primal: &Primal, sig: &Signature) {
        for (k, source) in primal.params.iter().enumerate() {
            let name = tangent_name(sig, k);
            let param = &sig.params[k];
            let by_ref = param.shape.is_array();
            let read = param.active.then(|| match &param.shape {
                Shape::Float(_) if param.in_out => quote!((*#name)),
                _ => quote!(#name),
            });
            self.parameter(source, &param.shape, read, (by_ref, param.in_out));
        }
    }

    /// Tangents of what a parameter is made of; a constant one has zeros.
    fn parameter(
        &mut self,
        source: &Source,
        shape: &Shape,
        read: Option<TokenStream>,
        (by_ref, in_out): (bool, bool),
    ) {
        match (source, read) {
            (Source::Scalar(id), Some(read)) => {
                let k = self.reads.len() as u32;
                self.reads.push(read);
                let ty = self.g.ty(*id);
                let t = self.g.bound(Node::Param(k), ty, None);
                let name = self.g.data(*id).name.as_ref().map(|s| format!("t_{s}"));
                self.g.nodes[t.0 as usize].name = name.map(|s| s.as_str().into());
                self.tangents.insert(*id, t);
            }
            // Behind `&mut` the caller's tangent changes as the parameter does.
            (Source::Array(a), Some(read)) if in_out || !self.g.array(*a).mutated => {
                let data = self.g.array(*a).clone();
                let name = format!("t_{}", data.name);
                let shadow =
                    self.g
                        .new_array(&name, data.shape, Init::Given(read), Span::call_site());
                let s = self.g.array_mut(shadow);
                (s.shadow, s.frozen) = (by_ref, !in_out);
                self.shadows.insert(*a, shadow);
            }
            (Source::Array(a), Some(read)) => {
                // The function changes its copy; the caller's tangent stays.
                let data = self.g.array(*a).clone();
                let name = format!("t_{}", data.name);
                // Behind the reference is a slice.
                let shape = match data.shape.clone() {
                    Shape::Vec(s) if by_ref => Shape::Slice(s),
                    shape => shape,
                };
                let given = self
                    .g
                    .new_array(&name, shape, Init::Given(read), Span::call_site());
                let s = self.g.array_mut(given);
                (s.shadow, s.frozen) = (by_ref, true);
                let from = whole(given);
                let shape = data.shape.without_names();
                let own = self
                    .g
                    .declare(&name, shape, Init::Copy(from), Span::call_site());
                self.g.array_mut(own).shadow = true;
                self.shadows.insert(*a, own);
            }
            (Source::Array(a), None) => {
                if self.g.array(*a).shape.has_floats() {
                    self.zero_shadow(*a);
                }
            }
            (Source::Tuple(all), read) => {
                for (part, (member, shape)) in all.iter().zip(shape.parts().unwrap_or_default()) {
                    let read = read.as_ref().map(|r| quote!(#r.#member));
                    self.parameter(part, &shape, read, (by_ref, in_out));
                }
            }
            (Source::Scalar(_) | Source::Constant, _) => {}
        }
    }
}
