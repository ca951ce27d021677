//! Elements read again: the same value where nothing has changed, another where the position or the array has.

use backprop::backprop;

functions! {
    fn by_changing_names(z, v, k) {
        let i = 1;
        let a = v[i];
        let i = 2;
        let b = v[i] * a;
        let mut n = 0;
        let c = v[n];
        n += 1;
        let d = v[n] * c;
        n += 2;
        b * k + d * z[[n, n]] + v[n]
    }

    fn of_few_positions(z, v, k) {
        let mut s = 0.0;
        for &i in &[0usize, 2, 2] {
            s += v[i] * z[[i, 1]] + v[i] * v[i];
        }
        for i in &[1usize, 3] {
            s += v[*i] * k;
        }
        for i in [3, 1] {
            s += v[i] * k * z[[i, i]];
        }
        s
    }

    fn between_stores(z, v, k) {
        let mut a = z.clone();
        let x = a[[1, 2]];
        a.row_mut(1).assign(v);
        let y = a[[1, 2]];
        a *= k;
        x * y * a[[1, 2]] * a[[1, 2]]
    }

    fn while_counting(z, v, k) {
        let mut s = 0.0;
        let mut at = 0;
        while at < 4 {
            s += v[at];
            at += 1;
            if at < 4 {
                s *= v[at];
            }
            at += 1;
        }
        s * k + z.sum()
    }
}
