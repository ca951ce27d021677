//! Searches whose path the data decides: graphs, grids, hulls, small machines.

use crate::every_way;
use backprop::backprop;

#[backprop]
fn swap_rows_cond(m: &[[f64; 3]; 3], n: usize) -> f64 {
    let mut a = *m;
    let mut b = [[0.0; 3]; 3];
    let mut t = 0;
    'outer: for k in 0..n {
        for i in 0..3 {
            if a[i][k % 3] > 1.5 {
                a.swap(i, (i + 1) % 3);
                t += 1;
                if t > 3 {
                    break 'outer;
                }
                continue 'outer;
            }
            for j in 0..3 {
                b[i][j] = a[i][j] * a[j][i] + 0.1 * b[j][i];
            }
        }
        std::mem::swap(&mut a, &mut b);
    }
    let mut s = 0.0;
    for (r, q) in a.iter().zip(b.iter()) {
        for (x, y) in r.iter().zip(q) {
            s += x * y + x;
        }
    }
    s
}

#[backprop]
fn nested_ret(v: &[f64], w: &[f64]) -> f64 {
    let mut acc = vec![0.0; w.len()];
    let mut total = 0.0;
    for (i, &x) in v.iter().enumerate() {
        for (j, &y) in w.iter().enumerate() {
            acc[j] += x * y;
            if acc[j] > 2.0 {
                return acc.iter().sum::<f64>() * total + x;
            }
            if acc[j] < -1.0 {
                acc[j] = 0.5 * acc[j] * acc[j];
                continue;
            }
            total += acc[j].sin();
        }
        if total > 3.0 {
            break;
        }
    }
    total * acc[0]
}

#[backprop]
fn shadow(x: f64, y: f64) -> f64 {
    let x = x * y;
    let f = |y: f64| {
        let x = x + y;
        x * x
    };
    let y = {
        let y = f(y);
        let x = y.sin();
        x + y
    };
    for x in 0..3 {
        let y = y * x as f64;
        let _ = y;
    }
    let (x, y) = (y, x);
    let x = if x > y {
        let x = x - y;
        x
    } else {
        let y = y - x;
        y * 2.0
    };
    x * y
}

#[backprop]
fn fn_in_while(x: f64) -> f64 {
    fn g(a: f64, n: i32) -> f64 {
        if n == 0 {
            return a;
        }
        let b = a * 0.5;
        b + b * b * n as f64
    }
    let step = |a: f64| g(a, 2) - 0.3;
    let mut a = x;
    let mut hist = [0.0; 6];
    let mut i = 0;
    while i < 6 && {
        let d = step(a) - a;
        d.abs() > 0.05
    } {
        hist[i] = a;
        a = step(a);
        i += 1;
    }
    hist[..i].iter().sum::<f64>() * a + i as f64 * x
}

#[backprop]
fn minimum_spanning_tree(x: &[f64], y: &[f64]) -> f64 {
    // Prim by O(n^2)
    let n = x.len();
    let mut dist = vec![f64::INFINITY; n];
    let mut done = vec![false; n];
    dist[0] = 0.0;
    let mut total = 0.0;
    for _ in 0..n {
        let mut u = n;
        for v in 0..n {
            if !done[v] && (u == n || dist[v] < dist[u]) {
                u = v;
            }
        }
        done[u] = true;
        total += dist[u].powi(2);
        for v in 0..n {
            if done[v] {
                continue;
            }
            let d = (x[u] - x[v]).hypot(y[u] - y[v]);
            if d < dist[v] {
                dist[v] = d;
            }
        }
    }
    total
}

#[backprop]
fn floyd(w: &[[f64; 4]; 4]) -> f64 {
    let mut d = *w;
    for k in 0..4 {
        for i in 0..4 {
            for j in 0..4 {
                let via = d[i][k] + d[k][j];
                if via < d[i][j] {
                    d[i][j] = via;
                }
            }
        }
    }
    d[0][3] * d[1][2] + d[3][0]
}

#[backprop]
fn edit_distance(a: &[f64], b: &[f64], gap: f64) -> f64 {
    let (n, m) = (a.len(), b.len());
    let mut dp = vec![vec![0.0; m + 1]; n + 1];
    for i in 1..=n {
        dp[i][0] = dp[i - 1][0] + gap;
    }
    for j in 1..=m {
        dp[0][j] = dp[0][j - 1] + gap;
    }
    for i in 1..=n {
        for j in 1..=m {
            let sub = dp[i - 1][j - 1] + (a[i - 1] - b[j - 1]).abs();
            dp[i][j] = sub.min(dp[i - 1][j] + gap).min(dp[i][j - 1] + gap * gap);
        }
    }
    dp[n][m]
}

#[backprop]
fn soft_life(u: &[Vec<f64>], steps: usize) -> f64 {
    let (h, w) = (u.len(), u[0].len());
    let mut cur = u.to_vec();
    for _ in 0..steps {
        let old = cur.clone();
        for i in 0..h {
            for j in 0..w {
                let mut n = 0.0;
                for di in [h - 1, 0, 1] {
                    for dj in [w - 1, 0, 1] {
                        if di == 0 && dj == 0 {
                            continue;
                        }
                        n += old[(i + di) % h][(j + dj) % w];
                    }
                }
                cur[i][j] = old[i][j] * (-(n - 2.5) * (n - 2.5)).exp() + 0.1 * n;
            }
        }
    }
    cur.iter().flat_map(|r| r.iter()).map(|x| x * x).sum()
}

#[backprop]
fn tape_machine(prog: &[(u8, usize, usize)], x: &[f64; 4]) -> f64 {
    let mut r = *x;
    let mut pc = 0usize;
    let mut fuel = 40;
    while pc < prog.len() && fuel > 0 {
        fuel -= 1;
        let (op, a, b) = prog[pc];
        pc += 1;
        match op {
            0 => r[a] += r[b],
            1 => r[a] *= r[b],
            2 => r.swap(a, b),
            3 if r[a] < 3.0 => pc = b,
            4 => r[a] = r[b].sin(),
            _ => {}
        }
    }
    r.iter().enumerate().map(|(i, v)| v * (i + 1) as f64).sum()
}

#[backprop]
fn clip_polygon(px: &[f64; 4], py: &[f64; 4], a: f64, b: f64, c: f64) -> f64 {
    // Sutherland-Hodgman against one half plane, then the area
    let mut ox = [0.0; 8];
    let mut oy = [0.0; 8];
    let mut n = 0usize;
    for i in 0..4 {
        let j = (i + 1) % 4;
        let (d1, d2) = (a * px[i] + b * py[i] - c, a * px[j] + b * py[j] - c);
        if d1 >= 0.0 {
            ox[n] = px[i];
            oy[n] = py[i];
            n += 1;
        }
        if (d1 >= 0.0) != (d2 >= 0.0) {
            let t = d1 / (d1 - d2);
            ox[n] = px[i] + t * (px[j] - px[i]);
            oy[n] = py[i] + t * (py[j] - py[i]);
            n += 1;
        }
    }
    let mut area = 0.0;
    for i in 0..n {
        let j = if i + 1 == n { 0 } else { i + 1 };
        area += ox[i] * oy[j] - ox[j] * oy[i];
    }
    0.5 * area.abs()
}

#[backprop]
fn convex_hull_perimeter(p: &[[f64; 2]]) -> f64 {
    // gift wrapping
    let n = p.len();
    let mut start = 0;
    for i in 1..n {
        if p[i][0] < p[start][0] {
            start = i;
        }
    }
    let mut cur = start;
    let mut len = 0.0;
    loop {
        let mut nxt = (cur + 1) % n;
        for i in 0..n {
            let cross = (p[nxt][0] - p[cur][0]) * (p[i][1] - p[cur][1])
                - (p[nxt][1] - p[cur][1]) * (p[i][0] - p[cur][0]);
            if cross < 0.0 {
                nxt = i;
            }
        }
        len += ((p[nxt][0] - p[cur][0]).powi(2) + (p[nxt][1] - p[cur][1]).powi(2)).sqrt();
        cur = nxt;
        if cur == start {
            break;
        }
    }
    len
}

#[backprop]
fn bool_arrays(x: &[f64; 5], mask: &[bool], order: &[i8; 5]) -> f64 {
    let mut keep = [true; 5];
    for (k, m) in keep.iter_mut().zip(mask) {
        *k = *k && !*m;
    }
    let any = keep.iter().any(|k| *k);
    let mut s = if any { 1.0 } else { 2.0 };
    for i in 0..5 {
        let o = order[i];
        let j = if o < 0 {
            (5 + o as i32) as usize
        } else {
            o as usize
        };
        if keep[j] {
            s *= x[j] + x[i];
            keep[i] = false;
        } else {
            s += x[i] * (o as f64);
        }
    }
    let cnt = keep.iter().filter(|k| **k).count();
    s / (1 + cnt) as f64
}

#[backprop]
fn factorials(x: f64, n: i32) -> f64 {
    let f = |k: i32| -> f64 { (1..=k).map(f64::from).product() };
    let mut s = 0.0;
    for k in 0..n {
        s += x.powi(k) / f(k);
    }
    s
}

#[backprop]
fn totals(v: &[f64], k: &[usize]) -> f64 {
    let total = k.iter().sum::<usize>();
    let n = v.iter().map(|x| *x as i64).product::<i64>();
    v[total % v.len()] * v[0] + n as f64 * v[1]
}

#[test]
fn every_way_gives_the_gradient() {
    every_way!(
        swap_rows_cond,
        [m = [[1.0, 1.6, 0.3], [0.4, 0.5, 2.0], [0.7, 0.8, 0.9]]],
        (&m, 5)
    );
    every_way!(
        swap_rows_cond,
        [m = [[1.0, 0.6, 0.3], [0.4, 0.5, 1.0], [0.7, 0.8, 0.9]]],
        (&m, 3)
    );
    every_way!(
        nested_ret,
        [v = vec![0.5, 1.0, -0.3], w = vec![1.0, -0.7, 0.4]],
        (&v, &w)
    );
    every_way!(
        nested_ret,
        [v = vec![0.5, 1.0, 1.3], w = vec![1.0, -0.7, 0.4]],
        (&v, &w)
    );
    every_way!(shadow, [x = 0.7, y = 1.2], (x, y));
    every_way!(shadow, [x = -0.7, y = 0.2], (x, y));
    every_way!(fn_in_while, [x = 1.7], (x));
    every_way!(
        minimum_spanning_tree,
        [x = vec![0.1, 0.9, 0.4, 0.7], y = vec![0.3, 0.2, 0.8, 0.95]],
        (&x, &y)
    );
    every_way!(
        floyd,
        [w = [
            [0.1, 1.0, 4.0, 9.0],
            [2.0, 0.2, 1.5, 7.0],
            [3.0, 2.5, 0.3, 1.2],
            [1.1, 5.0, 6.0, 0.4]
        ]],
        (&w)
    );
    every_way!(
        edit_distance,
        [
            a = vec![0.1, 0.9, 0.4],
            b = vec![0.3, 0.2, 0.8, 0.95],
            gap = 0.35
        ],
        (&a, &b, gap)
    );
    every_way!(
        soft_life,
        [u = vec![
            vec![0.1, 0.9, 0.4],
            vec![0.3, 0.2, 0.8],
            vec![0.5, 0.6, 0.7]
        ]],
        (&u, 2)
    );
    every_way!(
        tape_machine,
        [x = [0.5, 1.2, 0.7, 0.9]],
        (
            &[
                (0, 1, 2),
                (1, 0, 1),
                (2, 0, 3),
                (4, 2, 0),
                (3, 1, 0),
                (0, 3, 2),
                (9, 0, 0)
            ],
            &x
        )
    );
    every_way!(
        clip_polygon,
        [
            px = [0.0, 2.0, 2.0, 0.0],
            py = [0.0, 0.1, 2.0, 1.9],
            a = 0.7,
            b = 0.3,
            c = 0.9
        ],
        (&px, &py, a, b, c)
    );
    every_way!(
        convex_hull_perimeter,
        [p = vec![[0.1, 0.2], [1.0, 0.1], [0.5, 0.5], [0.9, 1.1], [0.2, 0.8]]],
        (&p)
    );
    every_way!(
        bool_arrays,
        [x = [0.1, 0.5, 0.9, -0.4, 0.7]],
        (&x, &[false, true, false, false, true], &[2, -1, 0, 1, -2])
    );
    every_way!(factorials, [x = 0.7], (x, 5));
    every_way!(totals, [v = vec![1.7, 2.3, 1.1]], (&v, &[1, 2, 4]));
}
