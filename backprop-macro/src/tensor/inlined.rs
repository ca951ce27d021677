//! Calls of annotated methods: their bodies, in place of the call.
//!
//! In: a method of a struct whose fields are known, `self.first.forward(&x)`. Out: what its body makes of the arguments, differentiated as if it were
//! written here. What must hold: the body sees its own names only, and stands in the same module, so that the names of items mean the same.

use crate::definitions::{Definitions, positioned};
use crate::errors::{self, Result};
use crate::tensor::lower::{Lower, Scope, Val};
use crate::tensor::methods::renamed;
use crate::tensor::signature::read_output;
use quote::ToTokens;

/// How deep calls may be nested.
const DEEPEST: usize = 100;

impl Lower<'_> {
    /// A method of a struct of this function's.
    pub fn method_of_struct(
        &mut self,
        m: &syn::ExprMethodCall,
        this: Val,
        of: &syn::Path,
    ) -> Result<Val> {
        let name = m.method.to_string();
        let here = Definitions::new(Vec::new(), self.source, self.function);
        let found = here.method(of, &name);
        let home = self.source.home(self.function);
        let near = found
            .filter(|(_, there)| home.is_some_and(|h| h.is_beside(there)))
            .map(|(f, _)| f);
        let Some(callee) = near.filter(|f| f.sig.generics.params.is_empty()) else {
            return self.reject(&m.method, &errors::TENSOR_METHOD_CALL);
        };
        let key = format!("{}::{name}", of.to_token_stream());
        if self.within.contains(&key) || self.within.len() >= DEEPEST {
            return Err(self
                .errors
                .reject_named(&m.method, &errors::RECURSION, &name));
        }
        let mut params = callee.sig.inputs.iter();
        if !matches!(params.next(), Some(syn::FnArg::Receiver(_))) || params.len() != m.args.len() {
            return self.reject(&m.method, &errors::TENSOR_METHOD_CALL);
        }
        let mut args = vec![this];
        for a in &m.args {
            args.push(self.bindable(a, None)?);
        }
        let at = positioned(callee.to_token_stream(), m.method.span());
        let Ok(mut callee) = syn::parse2::<syn::ItemFn>(at) else {
            return self.reject(&m.method, &errors::TENSOR_METHOD_CALL);
        };
        let output = match &callee.sig.output {
            syn::ReturnType::Type(_, ty) => read_output(ty, self.sig.generics_floats()),
            syn::ReturnType::Default => None,
        };
        renamed(&mut callee, of);
        crate::tensor::azip::written_out(&mut callee.block);
        let body = crate::tensor::ways_out::as_flags(&callee.block, false);
        let body = crate::tensor::exits::at_the_end(&body);

        let (floor, depth) = (self.floor, self.scopes.len());
        self.scopes.push(Scope::new());
        self.floor = depth;
        self.within.push(key);
        let made = self.of_body(&callee, args, &body);
        self.within.pop();
        self.scopes.truncate(depth);
        self.floor = floor;
        let made = made?;
        match output {
            Some(out) => self.output(made, &out, m.method.to_token_stream()),
            None => Ok(made),
        }
    }

    fn of_body(&mut self, callee: &syn::ItemFn, args: Vec<Val>, body: &syn::Block) -> Result<Val> {
        for (p, val) in callee.sig.inputs.iter().zip(args) {
            let syn::FnArg::Typed(p) = p else { continue };
            let ty = Some(&*p.ty).filter(|t| !matches!(t, syn::Type::Reference(_)));
            self.bind(&p.pat, val, ty)?;
        }
        self.block(body)
    }
}
