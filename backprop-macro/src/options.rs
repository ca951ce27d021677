//! The attribute's arguments.
//!
//! In: the tokens between the parentheses of `#[backprop(…)]`. Out: [`Options`]; every unknown, malformed or repeated
//! argument is an error at its own tokens.

use crate::check::CheckOptions;
use crate::checkpoint::CheckpointOptions;
use crate::cost::CostOptions;
use crate::custom::Custom;
use crate::errors::{self, Errors};
use proc_macro2::{Ident, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Token, parenthesized};

/// What the attribute asks for.
#[derive(Default)]
pub struct Options {
    /// Every option that is given, for where some mean nothing.
    pub given: Vec<Ident>,
    /// The parameters to differentiate with respect to; all that can be where it is `None`.
    pub wrt: Option<Vec<Ident>>,
    /// The name of the namespace, where it is not that of the function.
    pub namespace: Option<Ident>,
    /// The function stands in an `impl` but has no `self`.
    pub associated: bool,
    /// Generate `trace`: every node's value and gradient.
    pub trace: Option<Ident>,
    /// Generate `jvp`: value and tangent, forward.
    pub jvp: Option<Ident>,
    /// Generate `hvp`: the Hessian times a vector.
    pub hvp: Option<Ident>,
    /// Generate `jacobian`: the derivative of every part of the result.
    pub jacobian: Option<Ident>,
    /// Generate `hessian`: the second derivatives, and `hvp` with it.
    pub hessian: Option<Ident>,
    /// Check the gradient.
    pub check: Option<CheckOptions>,
    /// Loops save their state now and then, instead of something for every iteration.
    pub checkpoint: Option<CheckpointOptions>,
    /// The user's own rule instead of the compiler's.
    pub custom: Option<Custom>,
    /// What value and gradient may cost.
    pub cost: Option<CostOptions>,
    /// The warnings that are silenced.
    pub allow: Vec<String>,
    /// Compute idioms in forms that do not overflow, in the function itself too.
    pub stable: bool,
    /// Generate `GRAPH` and, for straight-line code, `graph`: the computational graph as an SVG.
    pub graph: bool,
    /// Generate `SOURCE`: the generated code as text.
    pub source: bool,
}

struct Argument {
    key: Ident,
    value: Value,
}

enum Value {
    Flag,
    Names(Vec<Ident>),
    Name(Ident),
    Group(TokenStream),
    Expr(Box<syn::Expr>),
    Other(TokenStream),
}

/// The name of a parameter; `self` is one.
fn name(input: ParseStream) -> syn::Result<Ident> {
    use syn::ext::IdentExt;
    if input.peek(Token![self]) {
        return Ident::parse_any(input);
    }
    input.parse()
}

impl Parse for Argument {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        use syn::ext::IdentExt;
        let key = Ident::parse_any(input)?;
        let value = if input.peek(syn::token::Paren) {
            let inner;
            parenthesized!(inner in input);
            if key == "check" || key == "custom" || key == "cost" {
                return Ok(Argument {
                    key,
                    value: Value::Group(inner.parse()?),
                });
            }
            match inner.fork().parse_terminated(name, Token![,]) {
                Ok(_) => Value::Names(
                    inner
                        .parse_terminated(name, Token![,])?
                        .into_iter()
                        .collect(),
                ),
                Err(_) => Value::Other(inner.parse()?),
            }
        } else if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            if key == "checkpoint" {
                let value = Value::Expr(Box::new(input.parse()?));
                return Ok(Argument { key, value });
            }
            if input.peek(syn::Ident) {
                Value::Name(input.parse()?)
            } else {
                let mut rest = TokenStream::new();
                while !input.is_empty() && !input.peek(Token![,]) {
                    rest.extend([input.parse::<proc_macro2::TokenTree>()?]);
                }
                Value::Other(rest)
            }
        } else {
            Value::Flag
        };
        Ok(Argument { key, value })
    }
}

impl Options {
    /// Reads the arguments.
    pub fn parse(tokens: TokenStream, errors: &Errors) -> Options {
        let mut options = Options::default();
        let list = syn::parse::Parser::parse2(
            |input: ParseStream| input.parse_terminated(Argument::parse, Token![,]),
            tokens.clone(),
        );
        let Ok(list) = list else {
            errors.reject(&tokens, &errors::BAD_OPTIONS);
            return options;
        };
        let mut seen: Vec<String> = Vec::new();
        for Argument { key, value } in list {
            let name = key.to_string();
            if seen.contains(&name) {
                errors.reject_named(&key, &errors::REPEATED_OPTION, &name);
                continue;
            }
            seen.push(name.clone());
            options.given.push(key.clone());
            match (name.as_str(), value) {
                ("wrt", Value::Names(names)) => options.wrt = Some(names),
                ("as", Value::Name(name)) => options.namespace = Some(name),
                ("associated", Value::Flag) => options.associated = true,
                ("trace", Value::Flag) => options.trace = Some(key),
                ("stable", Value::Flag) => options.stable = true,
                ("graph", Value::Flag) => options.graph = true,
                ("source", Value::Flag) => options.source = true,
                ("jvp", Value::Flag) => options.jvp = Some(key),
                ("hvp", Value::Flag) => options.hvp = Some(key),
                ("jacobian", Value::Flag) => options.jacobian = Some(key),
                ("hessian", Value::Flag) => options.hessian = Some(key),
                ("checkpoint", Value::Flag) => {
                    options.checkpoint = CheckpointOptions::read(key, None, errors);
                }
                ("checkpoint", Value::Expr(n)) => {
                    options.checkpoint = CheckpointOptions::read(key, Some(&n), errors);
                }
                ("checkpoint", _) => {
                    errors.reject(&key, &errors::BAD_CHECKPOINT);
                }
                ("check", Value::Flag) => options.check = Some(CheckOptions::new(key)),
                ("check", Value::Group(tokens)) => {
                    options.check = Some(CheckOptions::parse(key, tokens, errors));
                }
                ("custom", Value::Group(tokens)) => {
                    options.custom = Custom::parse(key, tokens, errors);
                }
                ("cost", Value::Group(tokens)) => {
                    options.cost = CostOptions::parse(&key, tokens, errors);
                }
                ("cost", _) => {
                    errors.reject_named(&key, &errors::BAD_COST, &name);
                }
                ("allow", Value::Names(names)) => {
                    options.allow = crate::warnings::allowed(names, errors);
                }
                ("custom", _) => {
                    errors.reject_named(&key, &errors::BAD_CUSTOM, &name);
                }
                (_, value) => {
                    let message = match name.as_str() {
                        "wrt" | "allow" => &errors::BAD_NAMES,
                        "as" => &errors::BAD_NAME,
                        "check" => &errors::BAD_CHECK_OPTION,
                        "associated" | "trace" | "stable" | "graph" | "source" | "jvp" | "hvp"
                        | "jacobian" | "hessian" => &errors::BAD_FLAG,
                        _ => {
                            errors.reject_named(&key, &errors::UNKNOWN_OPTION, &name);
                            continue;
                        }
                    };
                    // At the value, where that is what is wrong.
                    match value {
                        Value::Other(at) if !at.is_empty() => {
                            errors.reject_named(at, message, &name)
                        }
                        _ => errors.reject_named(&key, message, &name),
                    };
                }
            }
        }
        options
    }
}
