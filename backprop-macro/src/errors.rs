//! Everything that is rejected: one row a message.
//!
//! In: the tokens at fault and a row of the table. Out: errors with the smallest span, accumulated so that one does not
//! hide another. A message says what was found, why it has no gradient or is not supported, and what to write instead.

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens;
use std::cell::RefCell;

/// What is wrong, why, and what to write instead. `{}` in `what` is the offending name.
pub struct Message {
    what: &'static str,
    why: &'static str,
    instead: &'static str,
}

macro_rules! messages {
    ($($NAME:ident: $what:literal, $why:literal, $instead:literal;)*) => {
        $(pub const $NAME: Message = Message { what: $what, why: $why, instead: $instead };)*
        #[cfg(test)]
        const ALL: &[(&str, Message)] = &[$((stringify!($NAME), $NAME)),*];
    };
}

#[rustfmt::skip]
messages! {
    // options
    UNKNOWN_OPTION: "unknown option `{}`", "`#[backprop]` does not know it", "the options are `wrt(a, b)`, `as = name`, `associated`, `stable`, `graph`, `source`, `trace`, `jvp`, `hvp`, `jacobian`, `hessian`, `check(…)`, `checkpoint`, `cost(…)`, `custom(…)` and `allow(…)`";
    BAD_OPTIONS: "malformed options `{}`", "they are a list with commas in between", "write `wrt(a, b)`, `as = name`, `associated`, `stable`, `graph`, `source`, `trace`, `jvp`, `hvp`, `jacobian`, `hessian`, `check(…)`, `checkpoint = n`, `cost(…)`, `custom(…)` or `allow(…)`";
    BAD_NAMES: "malformed option `{}`", "it takes a list of names", "write `{}(a, b)`";
    BAD_NAME: "malformed option `{}`", "it takes a name", "write `{} = name`";
    BAD_FLAG: "malformed option `{}`", "it takes no value", "write `{}` alone";
    BAD_CHECK_OPTION: "malformed option `{}`", "it takes no value, or a list", "write `{}` alone, or `{}(domain(x > 0.0), at(x = 1.0), value = 2.0)`";
    REPEATED_OPTION: "option `{}` is given twice", "only one of them could hold", "remove one";
    UNKNOWN_WRT: "`{}` is not a parameter", "`wrt` names the parameters to differentiate with respect to", "use the name of a parameter";
    WRT_CONSTANT: "`{}` has no gradient", "it holds no floats", "remove it from `wrt`";
    TRACE: "`trace` needs straight-line code with a scalar result", "a branch, loop or array that changes has no single value to show at each node", "remove `trace`, or trace the straight-line part as a function of its own";
    // fence: the item
    NOT_A_FUNCTION: "this is not a function with a body", "there is nothing to differentiate", "put `#[backprop]` on a `fn` with a body";
    NO_BODY: "this function has no body", "there is nothing to differentiate", "put `#[backprop]` on the implementation";
    TWICE: "`#[backprop]` is applied twice", "the names that it generates would clash", "remove one of the two";
    CLASH: "the name `{}` is taken here", "a struct has it, or the gradient of one, and this function's would have it too", "choose another with `#[backprop(as = other)]`, which names what is generated";
    ASYNC: "`async` functions have no gradient", "their value is a future", "differentiate a plain function and call it from the `async` one";
    UNSAFE_FN: "`unsafe` functions are not differentiated", "what they touch cannot be known", "wrap the unsafe part in a function of its own with a rule of its own";
    EXTERN_FN: "`extern` and variadic functions are not differentiated", "their callers expect a C signature", "differentiate a plain function";
    IMPL_TRAIT: "`impl Trait` parameters are not supported", "the macro cannot see which floats they hold", "use a concrete type such as `&[f64]`";
    FUNCTION_PARAM: "`{}` may be any function", "the macro differentiates functions whose text it sees, and this one is known at run time only", "call an annotated function by its name, or take a number that says which of several to call";
    TRAIT_METHOD: "this method belongs to a trait", "its derivatives would stand beside it, and the trait has none of that name", "annotate a method in an `impl` of the type's own, and call it here";
    PARAM_PATTERN: "this parameter is a pattern", "its gradient needs a name", "give the parameter a name and destructure it in the body";
    PARAM_TYPE: "the type `{}` is not known to the macro", "it may hold floats whose gradient would be lost", "use floats (`T: Float` for any), arrays, slices, `Vec`s or tuples of them, or name the differentiated parameters with `wrt(…)`";
    STRUCT_HIDDEN: "a struct in this is not imported here: `{}`", "the generated code names the types of all fields that hold floats", "add `use {};`, or the path under which it is public";
    REF_MUT_PARAM: "this `&mut` parameter is not supported", "the macro must know which places it changes, and how many", "use `&mut [T]`, `&mut [T; N]`, `&mut T` or `&mut` to a struct of floats";
    SELF_UNKNOWN: "what `self` is made of is not known here", "the macro looks for the `impl` in which the method stands, and for the struct in the same file or where it is imported from", "put the `impl` beside the struct, or leave `self` out of `wrt`: then it is constant";
    NO_FLOATS: "no parameter can carry a gradient", "none of them holds a float", "take at least one `f64`, `f32`, array, slice or `Vec` of them, or `T: Float`";
    RETURN_TYPE: "results of type `{}` are not supported", "a result must be a float, or a tuple, array or `Vec` of floats", "return one of these, and let the caller make of it what it wants";
    NO_RESULT: "this function returns nothing", "there is no value to differentiate", "return the value, or change a `&mut` parameter that holds floats";
    CLONE_BY_HAND: "a struct in this function has a `Clone` that is not derived", "it may give something else than a copy, and the macro does not see what", "derive `Clone`, or build the copy field by field";
    OWN_STANDARD: "`{}` may be something else here than in the standard library", "this file has something else of that name, and the macro differentiates what the standard library does", "write the path with `std::` in front, or give yours another name";
    OWN_FLOAT: "`{}` is bound by a trait of this file", "the macro differentiates what `Float` of `num_traits` or of `backprop` does", "use one of these, or give the trait another name";
    INNER_ITEM: "`{}` is declared in an inner block, and may mean something else outside of it", "the generated code declares it at its beginning, where it is seen everywhere", "move it to the beginning of the function, or give it a name that is used nowhere else";
    CFG: "`cfg` inside a differentiated function", "the macro sees the code before `cfg` is decided, and would differentiate all of it", "select between two functions, or use `if cfg!(…)`";
    TOO_DEEP: "this is nested too deeply", "the macro follows the nesting with the compiler's stack", "split the function";
    TOO_LARGE: "this function is too large", "its graph would have more than 200,000 nodes", "split it into annotated functions, or use loops";
    // fence: expressions and statements
    UNSAFE: "`unsafe` code is not differentiated", "what it does to an active value cannot be known", "compute it outside and pass the result in";
    AWAIT: "`{}` has no gradient", "it suspends or leaves the function", "compute the value outside and pass it in";
    MACRO: "macro `{}!` in a differentiated function", "an attribute macro cannot see what it expands to", "write out what it stands for";
    ITEM: "this item inside a differentiated function", "only `const`, `static`, `use` and `fn` items are supported there", "move it out of the function";
    LABEL: "no enclosing loop or block has the label `{}`", "the macro must know where to go", "check the label";
    ENDLESS: "this loop never ends", "it has no `break` or `return`", "leave it with `break`";
    // lower: values
    UNKNOWN_METHOD: "method `{}` is not known to have a gradient", "called on a value that may depend on the parameters, it could hide a gradient", "use the methods of `f64` and arrays, or an annotated function `f(x)`";
    UNKNOWN_CALL: "`{}` is not known to be constant", "it takes no arguments, and the macro cannot see what it returns", "compute it outside and pass it in as a parameter";
    NOT_ANNOTATED: "`{}` is not annotated with `#[backprop]`", "it is called with a value that may need a gradient", "put `#[backprop]` on it too";
    METHOD_NOT_ANNOTATED: "`{}` is no annotated method of this struct's own", "it is called on a value that may need a gradient", "put `#[backprop]` on it, in an `impl` of the struct and not of a trait";
    FOREIGN_CALL: "`{}` is not known to have a gradient", "it belongs to the standard library or to another crate, and could hide one", "keep numbers in variables, arrays, `Vec`s, tuples and structs of your own; what is constant can be computed outside and passed in";
    VARIANT: "`{}` holds numbers in a variant of an `enum`", "which variant a value has, and so which gradient, is known at run time only", "use an `Option`, or a struct with an integer that says which of its fields count";
    CALLED_VALUE: "`{}` is called, and which function it stands for is not known", "the macro differentiates functions whose text it sees", "call an annotated function by its name, or choose with `if` or `match` between calls of several";
    CALL_ARGUMENT: "this argument cannot be passed to an annotated function", "only scalars, arrays and tuples of them are differentiated through a call", "pass the parts";
    CALL_IN_OUT: "`{}` returns a value and changes this argument", "beside a returned value what a `&mut` parameter holds has no upstream gradient", "let the function return nothing, or all that it computes as a tuple";
    CALL_CONSTANT: "this call holds constant what depends on a parameter here", "`wrt` of the function called leaves it out, so its gradient would be lost", "name the parameter in `wrt` there, or pass a constant";
    CALL_ROWS: "the result of this call has rows of a length known at run time only", "their adjoint could not be laid out", "return one `Vec`, or arrays of a fixed length";
    CALL_ARGUMENTS: "`{}` takes other arguments", "the macro found its signature in this file", "pass what it takes";
    BITS: "`{}` takes a float apart", "a gradient cannot follow its bits", "keep to arithmetic, or compute it from constants only";
    HYGIENE: "`{}` could mean two variables", "a `macro_rules!` macro makes two variables of this name, told apart only by hygiene", "give one of them another name";
    UNKNOWN_NAME: "`{}` is not known here", "it is neither a parameter nor a local of this function", "pass it in as a parameter";
    SELF_ASSIGNED: "`self` is constant here", "what is stored in it would have no gradient", "name it, `#[backprop(wrt(self, x))]`, and put `#[derive(Differentiable)]` on its struct";
    UNINIT: "`{}` is used before it is given a value", "on some path nothing was assigned to it", "give it a value when declaring it";
    ACTIVE_OPAQUE: "the type of this expression is not known, and it depends on a parameter", "its gradient could be lost", "write the type of its variables: `let v: f64 = …`";
    NOT_SCALAR: "this is {}, where a scalar is needed", "the operation is one of numbers", "compute it element by element or field by field, or in an annotated function";
    CAST: "a cast to `{}` is not followed", "the macro must see whether it is a float, and casts to floats, integers and `bool`", "write the type of number";
    NOT_ARRAY: "only arrays, slices and `Vec`s can be indexed here", "the macro does not know the elements of this value", "use an array";
    NOT_ITERABLE: "this cannot be iterated over here", "the macro models integer ranges, arrays, slices and `Vec`s", "use an index: `for i in 0..n`";
    ASSIGN: "this cannot be assigned to here", "the macro models variables, elements of arrays and fields of tuples", "assign to one of these";
    PATTERN: "this pattern is not supported", "the macro models names, tuples, slices, structs, literals, ranges, `_`, and numbers in the variants of constant enums", "use these, or an arm for each alternative";
    PATTERN_NAME: "`{}` may be a new variable or a constant here", "there is a constant of this name, and which one a pattern means depends on where it is seen", "write the constant in capitals, or compare: `n if n == {}`";
    BRANCH_ARRAY: "the branches give different arrays", "the macro must know which array a name stands for", "copy into one array inside the branches";
    LENGTH: "the length of this array is not known to the macro", "no type that says it stands beside the call", "write it, `std::array::from_fn::<_, 3, _>(…)`, or give the variable a type: `let v: [f64; 3] = …;`";
    LENGTH_OF_PARAMETER: "`{}` changes how many elements this has", "only a local `Vec` of floats or integers may grow and shrink: a gradient has the length that its parameter came with", "change a copy: `let mut list = v.to_vec();`";
    ROWS_INSIDE: "rows of unknown lengths are made inside a loop or branch", "the backward pass must know how long each is, and does not see them any more", "make the rows before the loop, or give them a fixed length: `[f64; 3]`";
    ROWS_MADE: "elements like these cannot be made one by one", "room for them is made first: the length of rows must be known, and structs must be `Copy`", "use rows of a fixed length, `[f64; 3]`, derive `Copy`, or keep the numbers in one `Vec`";
    LOOP_VALUE: "a variable stands for something else when this loop repeats", "only numbers and the contents of arrays may change from one iteration to the next", "keep the bounds of a range in integers, and copy into the array that the variable had before the loop";
    EXPRESSION: "this expression is not supported in a differentiated function", "the macro does not know its gradient", "use arithmetic, `if`, `match`, loops, arrays and methods of the float types";
    EXIT_INSIDE: "this leaves in the middle of an expression", "what is evaluated before and after it must be told apart", "bind it first: `let v = match … { … };`";
    STRUCT: "the fields of this are not known", "the macro finds the definition of a struct in the same file, or in that of the same package from which it is imported", "import the struct by name from a module of this package, or use tuples, arrays or separate variables";
    STRUCT_NAME: "the struct `{}` is not known to the macro", "its definition is not in this file, or several have this name", "define it in this file, or use a tuple";
    NO_FIELD: "there is no field `{}` here", "the macro found another type than you meant, or one without this field", "check the name and the type";
    FIELDS: "these fields do not fit the struct", "one is missing, unknown or named twice", "name each field once, or take the rest from `..other`";
    DERIVE_STRUCT: "only structs can be `Differentiable`", "which fields an `enum` or `union` has is decided at run time", "use a struct";
    DERIVE_FIELD: "the gradient of this field has no type", "it may hold floats behind something that the macro does not know", "use floats, arrays, slices, `Vec`s and tuples of them, or mark the field with `#[backprop(constant)]`";
    DERIVE_GENERIC: "`{}` may be any type", "the gradient of a field must have one that is known", "write `{}: Float`, with `Float` of `num_traits` or of `backprop`, or mark the field with `#[backprop(constant)]`";
    DERIVE_EMPTY: "`{}` has no gradient", "none of its fields can hold a float", "remove the derive";
    CONSTANT_FIELD: "this goes to a field marked `#[backprop(constant)]`", "it depends on a parameter, and its gradient would be lost", "remove the mark, or use a struct without it";
    UNDERIVED: "the struct `{}` has no gradient", "a parameter's gradient needs a type with a field for each of its floats", "put `#[derive(Differentiable)]` on the struct, or name the differentiated parameters with `wrt(…)`";
    REFERENCE: "references to parts cannot be kept here", "the macro must know which place is changed", "use the place itself";
    NONE: "what a `None` holds later in this loop is not known when it starts", "without a type it is taken for a scalar", "write the type where the variable is declared: `let mut last: Option<[f64; 3]> = None;`";
    CLOSURE: "closures are not supported here", "the macro does not inline them", "write a loop or an annotated function";
    DETACH: "`detach` takes a scalar", "of an array only its elements can be held constant here", "detach what is read: `detach(v[i])`";
    ITER_UNCOUNTED: "`{}` needs to know how many items come before", "a filter, or a closure that changes something, stands between", "collect into a `Vec` first, or write the loop out";
    ITER_PLACE: "`{}` on a range, or on an iterator that is not counted by `usize`", "the variable would have to remember how far it got", "count in an integer, or start from an array, a slice or a `usize` range with an adapter";
    SUM_TYPE: "`{}` of integers", "the macro takes the sum of an iterator to be a float unless its type is written", "write it: `.sum::<usize>()`";
    INNER_CONST: "`{}` of a function inside a differentiated function", "it is written out where it is called, and the macro does not see what the constant is there", "take a slice, `&[f64]`, or annotate a function of its own outside";
    STRING: "text cannot depend on the parameters here", "a gradient cannot follow it", "print after calling the function";
    SELF_CALL: "methods of `{}` are not differentiated through", "the macro cannot see their type", "call an annotated function: `f(x)`";
    // tensors
    TENSOR_OPTION: "`{}` is not supported for functions of tensors", "their values are arrays", "remove it";
    TENSOR_CHECK: "`{}` on a method with tensors", "the test that it generates would stand in the `impl`, which has no room for tests", "make it a function that takes the struct, or compare with differences in a test of your own";
    TENSOR_JVP: "`{}` is not supported for methods with tensors, nor for functions that change them in place", "its tangents would stand in the `impl` or behind `&mut`", "make it a function that takes arrays or structs by `&` and returns its result";
    TENSOR_CUSTOM: "`{}` on a function of tensors that takes structs or slices of floats", "its rule would have to give a gradient for each field", "take arrays and floats, and call it with the fields";
    TENSOR_GENERIC: "generic parameter `{}` in a function of tensors", "the macro must know that it is the type of the elements", "use `f64`, `f32` or one `T: Float`";
    TENSOR_METHOD_GENERIC: "generic methods with tensors are not supported", "what is generated for a method stands inside of a function, which does not see these parameters", "make it a function that takes the struct: `fn loss<T: Float>(net: &Net<T>, …)`";
    TENSOR_PARAM: "`{}` beside tensors is not supported", "it may hold floats whose gradient would be lost", "use ndarray's arrays, views and floats, or name the differentiated parameters with `wrt(…)`";
    TENSOR_IN_OUT: "`{}` is not supported in a function of tensors", "what is changed in place there must be an array or a float", "use `&mut Array2<f64>`, `ArrayViewMut2<f64>` or `&mut f64`, or take by `&` what does not change";
    TENSOR_FIELD: "a field of type `{}` in a function of tensors is not supported", "its gradient would be lost", "use floats, owned arrays, `Vec`s of these arrays and structs of them, or mark the field with `#[backprop(constant)]`";
    TENSOR_MIXED: "`f32` and `f64` in one function of tensors", "all tensors and floats of it must be of one type", "convert them outside";
    TENSOR_RESULT: "results of type `{}` are not supported for functions of tensors", "a result must be a float, an owned `Array` of them, or a tuple of these", "return one of these";
    TENSOR_METHOD_UNKNOWN: "method `{}` is not known to have a gradient on tensors", "called on a tensor that may depend on the parameters, it could hide a gradient", "use elementwise operations, `dot`, sums and views, or an annotated function `f(&x)`";
    TENSOR_INTO_SHAPE: "`into_shape` is not supported", "it takes the elements of one array row by row and of another column by column, as they lie in memory", "write `into_shape_with_order(shape)`, `to_shape(shape)` or `to_shape((shape, Order::ColumnMajor))`";
    TENSOR_EXPRESSION: "this expression is not supported in a function of tensors", "the macro does not know its gradient", "use operators and methods of ndarray's arrays, `for` and `if`; compute what is constant outside";
    TENSOR_LOOP: "this loop is not supported in a function of tensors", "a loop runs over constants (`0..n`), over subviews (`x.rows()`, `axis_iter`, windows), the elements of an array, a list of tensors, or `zip`, `enumerate`, `rev`, `skip`, `take` and `map` of these", "write it as one of these, or as products, sums, `map_axis` or `fold`";
    TENSOR_CARRIED: "`{}` is changed in this loop or branch, and is not of one kind that can be handed on", "what a loop hands to its next iteration, or a branch to what follows, is an array with one number of axes, a float, an integer or a flag", "give it its type before the loop, compute it from the loop's position, or keep it outside";
    TENSOR_PUSH: "`{}` is not supported for this list of arrays", "a list that a loop makes longer gets one array in each iteration, in the loop's own block, and there its last one can be read (`all.last().unwrap()`)", "push once in each iteration, outside of branches, keep what the next iteration reads in a variable, or write to rows of one array";
    TENSOR_SIDES: "the sides of this `if` give values of different kinds", "both must give tensors of one number of axes, floats, integers or flags, or nothing", "give both sides the same kind of value, or assign to variables";
    TENSOR_RANK: "the number of axes of this is not known", "the macro needs it to name its type", "write the type: `let x: Array2<f64> = …`";
    TENSOR_BORROW: "this mutable borrow cannot be followed", "what is stored to it would be lost", "bind it with `let`, or call the method on it at once: `a.row_mut(i).assign(&v)`";
    TENSOR_FOLD: "this `fold` depends on the order of the elements", "ndarray visits them as they lie in memory, which differs from array to array", "write `.iter().fold(…)`, which visits them row by row";
    TENSOR_CAPTURE: "`{}` cannot be used inside of this closure", "the macro differentiates closures of floats", "pass its elements, or `Zip` over it too";
    TENSOR_CALL: "this call with tensors is not supported", "the macro must see in this file that the function is annotated, that it takes arrays, views and floats, and that it returns a float or an owned array", "annotate it with `#[backprop]` in this file, or write the operation out";
    TENSOR_METHOD_CALL: "this method is not known to have a gradient on tensors", "the macro writes out methods of structs that are annotated, without generic parameters, in an `impl` in the same module", "annotate it with `#[backprop]`, or make it a function of the arrays";
    TENSOR_EFFECT: "`{}` changes what is constant in a function of tensors", "constants are computed again for the backward pass, and left out where nothing reads them", "compute it outside and pass the result in, or count in a variable of the function";
    TENSOR_RETURNS: "this is not what the function's type says", "the macro found another kind of value", "return a float or an owned array";
    INNER_RECURSION: "`{}` calls itself", "a function inside of a differentiated one is written out where it is called, and this would never end", "write the recursion as a loop";
    RECURSION: "`{}` calls itself", "its residuals would hold themselves", "write the recursion as a loop";
    // jvp
    JVP: "the tangent of this function is not supported: {}", "its derivative would be lost", "name that parameter in `wrt` too, or leave the option out";
    HVP: "second derivatives of this function are not supported: {}", "they are the tangent of the backward pass, and of that none is generated there", "write out what is called or changed, or take differences of `gradient`";
    HVP_RESULT: "`{}` needs a scalar result", "each part of a result would have a Hessian of its own", "return one float, or use `jacobian`";
    JVP_CALL: "`{}` has no `jvp`", "the tangent goes through the `jvp` of each function that is called", "put `#[backprop(jvp)]` on it too";
    JVP_STRUCTS: "`{}` is passed an array of structs made here", "the tangents of such an array are tuples, and the `jvp` of the function called takes structs", "pass a parameter as it came, or arrays of the fields";
    NO_JACOBIAN: "the Jacobian of this function has no type: {}", "its fields are floats, and could not hold a gradient each", "return an array, a tuple or a `Vec`, or call `backward` once for each part of the result";
    NO_HESSIAN: "the Hessian of this function has no type: {}", "its fields are floats, and could not hold a gradient each", "take an array, a tuple or a `Vec`, name other parameters with `wrt(…)`, or use `hvp`";
    // checkpoint
    BAD_CHECKPOINT: "malformed `checkpoint`: `{}`", "it says every how many iterations a loop saves its state: a constant, at least 1", "write `checkpoint = 100`, `checkpoint = STEPS`, or `checkpoint` alone for the square root of the number of iterations";
    CHECKPOINT_NOTHING: "no loop needs `checkpoint`", "the gradient keeps nothing for the iterations of any loop", "remove the option";
    CHECKPOINT_COUNT: "how often this loop runs is not known when it starts", "`checkpoint` alone saves its state as often as the square root of that", "write `checkpoint = n`";
    CHECKPOINT_CALL: "`{}` would be called a second time", "`checkpoint` runs the loop again, and the macro cannot see that this returns the same again", "put `#[backprop]` on it, write it out, or call it before the loop";
    CHECKPOINT_HVP: "`checkpoint` beside `hvp`", "the tangent of the gradient would keep something for every iteration again", "remove one of the two, or annotate a copy of the function for each";
    // cost
    BAD_COST: "malformed `{}`", "the bound is a positive number", "write `cost(max_ratio = 3.0)`";
    COST: "{}", "the bound is exceeded", "see the places below, or raise `max_ratio`";
    COST_PLACE: "{}", "it is among what costs most", "compute it once, or leave it out of what is differentiated";
    // warnings
    UNKNOWN_ALLOW: "unknown warning `{}`", "there is none of this name", "the warnings are `unused_parameter`, `piecewise_constant` and `exact_comparison`";
    // custom
    BAD_CUSTOM: "malformed `{}`", "a rule is a function for the backward pass, or one for each pass and the type of what is kept between them", "write `custom(backward = path)` with `fn path(args…, y, upstream) -> gradients`, or `custom(forward = path, backward = path, residuals = Type)`";
    CUSTOM_FUNCTION: "`{}` on a method or a function with `&mut` parameters", "the functions of a rule stand beside a plain function", "write a plain function with a rule, and call it from the method";
    CUSTOM_OPTION: "`{}` beside `custom`", "the macro does not look into a function with a rule of its own", "remove one of the two";
    // check
    BAD_CHECK: "malformed `check`", "`{}` is not of the expected form", "write `check(domain(x > 0.0, w in -3.0..3.0), len(v = 5), shape(m = [3, 4]), points = 16, seed = 7)` or `check(at(x = 1.0), value = 2.0, gradient(x = 3.0), tolerance = 1e-6)`";
    CHECK_NUMBER: "`{}` is not a number that `check` can use", "it is evaluated while compiling, and must fit its place", "write a literal, or constants of the standard library";
    CHECK_AXES: "`shape` does not fit `{}`", "it gives one of ndarray's arrays, or a vector beside one, the lengths of its axes, and each array of a list", "write `check(shape(x = [3, 4], net.b = 4, layers = [[3, 4], [4, 2]]))`, and `len(v = 5)` for slices in functions without arrays";
    CHECK_EXPECTED: "`{}` without a point", "it says what is expected at the point given before it", "write `at(…)` first";
    CHECK_PARAMETER: "`{}` is not a parameter", "`check` says something of the parameters, const generic ones included", "use the name of a parameter";
    CHECK_MISSING: "no value for `{}`", "a point names all parameters", "add `{} = …`";
    CHECK_SHAPE: "`{}` does not fit", "a value must have the shape of its parameter or result, and its length where that is fixed", "write numbers, `[…]` for arrays and slices, `(…)` for tuples";
    CHECK_NO_GRADIENT: "`{}` has no gradient to compare", "it is not differentiated, or the result is not a scalar", "name a differentiated parameter of a function with a scalar result";
    CHECK_POINT: "the function cannot be checked at this point", "{}", "choose a point at which it is finite";
    CHECK_DOMAIN: "the function cannot be checked at any point", "{}", "say where it is defined: `check(domain(x > 0.0), len(v = 5))`";
    CHECK_MISMATCH: "{}", "this is what the function computes at the given point", "correct the number, or the function; `tolerance = …` says how near they must be";
    CHECK_WRONG: "{}", "the backward pass and an independent computation disagree", "if the function is differentiable there, this is a bug in backprop: please report it";
    CHECK_INFINITE: "{}", "an operation on the way has an infinite or undefined slope there, and zero times that is not zero", "leave such points out with `check(domain(…))`, or guard the operation with `if`";
    CHECK_METHOD: "`check` would need {}", "neither the macro nor a test that it generates can make one", "say what a method's `self` is, `check(self = Spring { k: 1.0 })`, or check it in a test of your own: `backprop::assert_gradient!(…)`";
    UNTYPED: "the type of `{}` is not known", "the backward pass must keep it, in a field with a type", "write its type: `let {}: usize = …`";
}

/// The errors found so far.
#[derive(Default)]
pub struct Errors(RefCell<Vec<syn::Error>>);

/// An error has been recorded; there is nothing more to say.
#[derive(Clone, Copy, Debug)]
pub struct Rejected;

/// The result of a stage that may reject.
pub type Result<T> = std::result::Result<T, Rejected>;

impl Errors {
    /// Records an error at the tokens, and gives back what stops the caller.
    pub fn reject(&self, at: impl ToTokens, message: &Message) -> Rejected {
        let text = short(&plain(&at.to_token_stream()));
        self.reject_named(at, message, &text)
    }

    /// As [`Errors::reject`], with the name that the message is about.
    pub fn reject_named(&self, at: impl ToTokens, message: &Message, name: &str) -> Rejected {
        self.push(syn::Error::new_spanned(at, render(message, name)))
    }

    /// As [`Errors::reject_named`], where only a span is left.
    pub fn reject_at(&self, span: Span, message: &Message, name: &str) -> Rejected {
        self.push(syn::Error::new(span, render(message, name)))
    }

    fn push(&self, error: syn::Error) -> Rejected {
        let mut all = self.0.borrow_mut();
        let text = error.to_string();
        let known = |e: &syn::Error| {
            e.to_string() == text && format!("{:?}", e.span()) == format!("{:?}", error.span())
        };
        if !all.iter().any(known) {
            all.push(error);
        }
        Rejected
    }

    /// Whether nothing was rejected.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them, as `compile_error!`s.
    pub fn into_tokens(self) -> TokenStream {
        self.0
            .into_inner()
            .into_iter()
            .map(|e| e.to_compile_error())
            .collect()
    }

    /// The texts, for the compiler's own tests.
    #[cfg(test)]
    pub fn texts(&self) -> Vec<String> {
        self.0.borrow().iter().map(ToString::to_string).collect()
    }
}

fn render(message: &Message, name: &str) -> String {
    let fill = |s: &str| s.replace("{}", name);
    format!(
        "{}: {}\nhelp: {}",
        fill(message.what),
        fill(message.why),
        fill(message.instead)
    )
}

/// Tokens as a person writes them: `Vec::<f64>::new()`, not `Vec :: < f64 > :: new ()`.
pub fn plain(tokens: &TokenStream) -> String {
    let mut spelling = Spelling::default();
    spelling.all(tokens);
    spelling.out
}

#[derive(Default)]
struct Spelling {
    out: String,
    /// A space stands before the next token, unless that one wants none.
    space: bool,
    /// An operand has just ended.
    operand: bool,
    /// What has just ended could take `<…>`; how many of these are open.
    generic: bool,
    open: usize,
    /// Between the bars of a closure.
    closure: bool,
}

impl Spelling {
    fn all(&mut self, tokens: &TokenStream) {
        const SIGNS: [&str; 24] = [
            "::", "..", "..=", "...", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=",
            "*=", "/=", "%=", "^=", "|=", "&=", "<<", ">>", "<<=", ">>=",
        ];
        let mut sign = String::new();
        for tree in tokens.clone() {
            if let TokenTree::Punct(p) = &tree {
                let longer = format!("{sign}{}", p.as_char());
                if !sign.is_empty() && !SIGNS.contains(&longer.as_str()) {
                    self.sign(&std::mem::take(&mut sign));
                }
                sign.push(p.as_char());
                if p.spacing() == Spacing::Alone {
                    self.sign(&std::mem::take(&mut sign));
                }
                continue;
            }
            let lifetime = sign == "'";
            if !lifetime && !sign.is_empty() {
                self.sign(&std::mem::take(&mut sign));
            }
            match &tree {
                TokenTree::Group(g) => self.group(g),
                word => {
                    let text = std::mem::take(&mut sign) + &word.to_string();
                    let keywords = [
                        "mut", "as", "in", "if", "else", "match", "return", "let", "dyn", "impl",
                        "break",
                    ];
                    self.put(&text, self.space);
                    self.space = true;
                    self.operand = !keywords.contains(&text.as_str());
                    self.generic = text.starts_with(char::is_uppercase);
                }
            }
        }
        if !sign.is_empty() {
            self.sign(&sign);
        }
    }

    fn put(&mut self, text: &str, space: bool) {
        if space {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    fn group(&mut self, g: &Group) {
        let (before, after) = match g.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{ ", " }"),
            Delimiter::None => ("", ""),
        };
        let called = self.operand && g.delimiter() != Delimiter::Brace;
        self.put(before, self.space && !called);
        (self.space, self.operand, self.generic) = (false, false, false);
        let open = std::mem::take(&mut self.open);
        self.all(&g.stream());
        self.open = open;
        self.out.push_str(after);
        (self.space, self.operand, self.generic) = (true, true, false);
    }

    fn sign(&mut self, sign: &str) {
        let closes = sign == "|" && self.closure;
        self.closure = sign == "|" && !self.operand && !closes || self.closure && !closes;
        let starts = sign == "<" && self.generic;
        let ends = self.open > 0 && sign.chars().all(|c| c == '>');
        let of_macro = sign == "!" && self.operand;
        let tight =
            starts || ends || of_macro || matches!(sign, "::" | "." | ".." | "..=" | "?" | "#");
        let prefix = !self.operand && !closes && matches!(sign, "-" | "&" | "*" | "!" | "&&" | "|");
        self.put(
            sign,
            self.space && !tight && !closes && !matches!(sign, "," | ";" | ":"),
        );
        if starts {
            self.open += 1;
        } else if ends {
            self.open = self.open.saturating_sub(sign.len());
        }
        self.operand = ends || of_macro || sign == "?";
        self.space = !(prefix || tight && !ends && sign != "?");
        self.generic = sign == "::";
    }
}

#[test]
fn tokens_are_spelt_as_people_write_them() {
    for text in [
        "std::collections::HashMap::<u32, Vec<f64>>::new()",
        "&mut [f64; 3]",
        "-1",
        "3.0..1.0",
        "a - b * -c",
        "Spring { l: 1.0 }",
        "if x > 0.0 && !done { x[i] } else { y.0 }",
        "break 'outer",
        "async { x }",
        "vec![1, 2]",
        "x as f32",
        "f(&x)?",
        "|a| a < b",
    ] {
        assert_eq!(plain(&text.parse().unwrap()), text);
    }
}

/// What no program can show, and why.
#[cfg(test)]
const UNSHOWN: [(&str, &str); 1] = [(
    "CHECK_WRONG",
    "only a bug of the compiler's makes a gradient wrong; `check/tests.rs` breaks one to see it",
)];

#[test]
fn every_message_is_shown_by_a_case() {
    fn outputs(folder: &std::path::Path, all: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                outputs(&path, all);
            } else if path.extension().is_some_and(|e| e == "stderr") {
                all.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/ui");
    let mut all = Vec::new();
    outputs(&root, &mut all);
    assert!(all.len() > 30, "only {} outputs", all.len());
    // A line shows a message if it has all that stands around the names, in order.
    let shows = |line: &str, text: &str| {
        let mut rest = line;
        text.split("{}").all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    };
    let mut missing = Vec::new();
    for (name, m) in ALL {
        let text = format!("{}: {}", m.what, m.why);
        let shown = all.iter().flat_map(|o| o.lines()).any(|l| shows(l, &text));
        let excused = UNSHOWN.iter().any(|u| u.0 == *name);
        if shown == excused {
            missing.push(*name);
        }
    }
    assert!(
        missing.is_empty(),
        "without a case, or excused for nothing: {missing:?}"
    );
}

fn short(text: &str) -> String {
    let mut out: String = text.chars().take(60).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}
