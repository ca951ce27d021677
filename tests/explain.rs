//! The options that show something: `graph` and `source`, wherever the attribute may stand.

#![allow(clippy::needless_range_loop)] // Differentiated as users write them.

use backprop::backprop;

/// An SVG of well-formed elements, as far as counting them says.
#[track_caller]
fn is_svg(svg: &str) {
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"), "{svg}");
    for element in ["text", "svg", "style"] {
        let opened = svg.matches(&format!("<{element} ")).count()
            + svg.matches(&format!("<{element}>")).count();
        assert_eq!(
            opened,
            svg.matches(&format!("</{element}>")).count(),
            "{element}"
        );
    }
}

#[test]
fn a_loop_has_a_graph_of_one_iteration() {
    #[backprop(graph)]
    fn f(x: &[f64]) -> f64 {
        let mut total = 1.0;
        for i in 0..x.len() {
            total *= x[i].sin();
        }
        total
    }
    is_svg(f::GRAPH);
    for label in [
        ">x[i]<",
        ">total so far<",
        ">loop<",
        ">sin<",
        ">cos(x[i])<",
        ">f<",
    ] {
        assert!(f::GRAPH.contains(label), "{label} is not in {}", f::GRAPH);
    }
    assert_eq!(f(&[]), 1.0);
}

#[test]
fn a_branch_joins_both_sides() {
    #[backprop(graph)]
    fn f(x: f64, y: f64) -> f64 {
        if x < y { x.exp() } else { y / x }
    }
    is_svg(f::GRAPH);
    for label in [">then<", ">else<", ">if<", ">exp<", ">÷<"] {
        assert!(f::GRAPH.contains(label), "{label} is not in {}", f::GRAPH);
    }
    assert_eq!(f(2.0, 1.0), 0.5);
}

/// What a comparison is written with must not be taken for an element.
#[test]
fn text_is_escaped() {
    #[backprop(graph)]
    fn f(x: &[f64], k: usize) -> f64 {
        x[(k < 2) as usize] * x[0]
    }
    is_svg(f::GRAPH);
    is_svg(&f::graph(&[2.0, 3.0], 1));
    assert_eq!(f(&[2.0, 3.0], 1), 6.0);
}

#[test]
fn too_many_nodes_are_not_drawn_but_said() {
    #[backprop(graph)]
    fn f(x: &[f64; 4]) -> f64 {
        let a = x[0] * x[1] + x[2] * x[3] + x[0] * x[2] + x[1] * x[3] + x[0].sin() + x[1].sin();
        let b = a * x[0] + a * x[1] + a * x[2] + a * x[3] + x[2].cos() + x[3].cos() + a.exp();
        let c = b * x[0] + b * x[1] + b * x[2] + b * x[3] + a * b + b.sin() + b.cos() + a.tanh();
        let d = c * x[0] + c * x[1] + c * x[2] + c * x[3] + a * c + c.sin() + c.cos() + b.tanh();
        a + b + c + d
    }
    is_svg(f::GRAPH);
    assert!(f::GRAPH.contains("too large to be drawn"));
    assert!(f(&[0.0; 4]).is_finite());
}

#[test]
fn methods_and_generic_functions_have_them_too() {
    struct Spring {
        stiffness: f64,
    }
    impl Spring {
        #[backprop(graph, source)]
        fn energy(&self, x: f64) -> f64 {
            0.5 * self.stiffness * x * x
        }
    }
    is_svg(Spring::ENERGY_GRAPH);
    let spring = Spring { stiffness: 2.0 };
    let svg = spring.energy_graph(3.0);
    is_svg(&svg);
    // The energy, and its derivative with respect to the stretch.
    assert!(
        svg.contains(">9.00</text>") && svg.contains(">6.00</text>"),
        "{svg}"
    );
    assert!(Spring::ENERGY_SOURCE.contains("fn energy_forward"));
    assert!(!Spring::ENERGY_SOURCE.contains("energy_graph"));
    assert_eq!(spring.energy(3.0), 9.0);

    #[backprop(graph, source)]
    fn cube<T: num_traits::Float>(x: T) -> T {
        x * x * x
    }
    is_svg(cube::GRAPH);
    assert!(cube::SOURCE.contains("fn value_and_gradient"));
    assert_eq!(cube(2.0), 8.0);
}

/// A user's own names that look like ours stay apart.
#[test]
fn names_in_the_source_do_not_collide() {
    #[backprop(source)]
    fn f(v: f64, v_2: f64) -> f64 {
        let saved = v * v_2;
        let upstream = saved.sin() * v;
        upstream * saved
    }
    let file = syn::parse_file(f::SOURCE).expect("the source is Rust");
    assert!(!file.items.is_empty());
    assert!(!f::SOURCE.contains("__"), "{}", f::SOURCE);
    assert_eq!(f(0.0, 1.0), 0.0);
}
