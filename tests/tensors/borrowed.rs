//! What is borrowed mutably, and elements that are changed where they stand: the change is seen by the variable behind it.

use backprop::backprop;
use ndarray::{Array2, Axis, Zip, s};

functions! {
    fn view_of_view_assigned2(z, v, k) {
        let mut a = z * k;
        a.slice_mut(s![..;2, 1..]).slice_mut(s![.., ..;-1]).row_mut(0).assign(&v.slice(s![1..]));
        a.slice_mut(s![1.., ..]).column_mut(2).fill(k);
        (&a * &a * z).sum()
    }

    fn compound_slice(z, v, k) {
        let mut a = z.to_owned();
        let mut r = a.row_mut(1);
        r += v;
        r *= k;
        (&a * &a).sum()
    }

    fn view_mut_alias(z, v, k) {
        let mut a = z * 2.0;
        let mut b = a.view_mut();
        b *= k;
        b[[0, 0]] = k * k;
        (&a * z).sum()
    }

    fn ref_mut_alias(z, v, k) {
        let mut a = z * 2.0;
        let b = &mut a;
        *b *= k;
        b[[0, 0]] = k * k;
        (&a * z).sum()
    }

    fn ref_mut_scalar(z, v, k) {
        let mut s = z.sum();
        { let r = &mut s;
        *r += k;
        *r *= *r;
        } s * k
    }

    fn index_axis_mut(z, v, k) {
        let mut a = z * k;
        a.index_axis_mut(Axis(1), 2).assign(v);
        let mut r = a.index_axis_mut(Axis(0), 0);
        r += v;
        (&a * &a).sum()
    }

    fn diag_mut(z, v, k) {
        let mut a = z * k;
        a.diag_mut().assign(v);
        let mut d = a.diag_mut();
        d += k;
        (&a * &a).sum()
    }

    fn heat(z, v, k) {
        let mut u = z.clone();
        for _ in 0..3 { let lap = &u.slice(s![..-2, 1..-1]) + &u.slice(s![2.., 1..-1]) + &u.slice(s![1..-1, ..-2]) + &u.slice(s![1..-1, 2..]) - 4.0 * &u.slice(s![1..-1, 1..-1]);
        let mut n = u.clone();
        let mut c = n.slice_mut(s![1..-1, 1..-1]);
        c += &(lap * k * 0.1);
        u = n;
        } (&u * &u).sum()
    }

    fn cumulative_rows(z, v, k) {
        let mut a = z * k;
        for i in 1..a.nrows() { let p = a.row(i - 1).to_owned();
        let mut r = a.row_mut(i);
        r += &p;
        } (&a * z).sum()
    }

    fn zip_for_each(z, v, k) {
        let mut a = z * k;
        let b = z.mapv(f64::exp);
        Zip::from(&mut a).and(&b).for_each(|x, &y| *x = *x * y + k);
        (&a * &a).sum()
    }

    fn zip_mut_with(z, v, k) {
        let mut a = z * k;
        a.zip_mut_with(v, |x, &y| *x = *x * y + 1.0);
        (&a * &a).sum()
    }

    fn map_inplace(z, v, k) {
        let mut a = z.clone();
        a.map_inplace(|x| *x = *x * k + 1.0);
        a.map_inplace(|x| { *x *= *x;
        *x += k });
        (&a * z).sum()
    }

    fn closure_adds(z, v, k) {
        let mut s = 0.0;
        let mut add = |x: f64| s += x * k;
        add(z[[0, 0]]);
        add(2.0);
        s * s
    }

    fn closure_takes_mut(z, v, k) {
        let mut a = z * k;
        let scale = |m: &mut Array2<f64>, c: f64| { *m *= c;
        m[[0, 0]] = c;
        };
        scale(&mut a, k);
        scale(&mut a, 2.0);
        (&a * z).sum()
    }

    fn shadow_while_borrowed(z, v, k) {
        let mut a = z * k;
        let mut r = a.row_mut(1);
        let a = v * 2.0;
        r += &a;
        r[0] = k;
        (&a * &r).sum()
    }

    fn two_borrows(z, v, k) {
        let mut a = z * k;
        let mut b = z * 2.0;
        let (mut p, mut q) = (a.row_mut(0), b.column_mut(1));
        p += v;
        q *= &p;
        (&a * &b).sum()
    }

    fn borrow_in_branch(z, v, k) {
        let mut a = z * k;
        let mut r = a.row_mut(0);
        if k > 1.0 { r += v;
        } else { r *= 2.0;
        } (&a * &a).sum()
    }

    fn borrow_in_loop(z, v, k) {
        let mut a = z * k;
        for i in 0..a.nrows() { let mut r = a.row_mut(i);
        r += v;
        let t = r.sum();
        r[0] = t * k;
        } (&a * &a).sum()
    }

    fn borrow_outside_loop(z, v, k) {
        let mut a = z * k;
        let mut r = a.row_mut(2);
        for i in 0..v.len() { r += v;
        r[i] *= k;
        } (&a * &a).sum()
    }

    fn borrowed_transposed(z, v, k) {
        let mut a = z * k;
        let mut t = a.view_mut().reversed_axes();
        t += v;
        t.row_mut(1).fill(k);
        (&a * z).sum()
    }

    fn borrowed_view_of_view(z, v, k) {
        let mut a = z * k;
        let mut s = a.slice_mut(s![1..3, ..]);
        s.row_mut(0).assign(v);
        let mut c = s.column_mut(2);
        c *= k;
        c[1] = 3.0;
        (&a * z).sum()
    }

    fn element_ref(z, v, k) {
        let mut a = z * k;
        let x = &mut a[[1, 2]];
        *x *= *x;
        *x += k;
        (&a * z).sum()
    }

    fn rebinding(z, v, k) {
        let mut a = z * k;
        let mut b = z * 2.0;
        let mut r = &mut a;
        *r *= k;
        r = &mut b;
        *r += k;
        (&a * &b).sum()
    }

    fn each_two(z, v, k) {
        let mut a = z * k;
        let mut b = z * 2.0;
        Zip::from(&mut a).and(&mut b).and(z).for_each(|x, y, &c| { let t = *x;
        *x = *y * c;
        *y = t * t;
        });
        (&a * &b * z).sum()
    }

    fn each_part(z, v, k) {
        let mut a = z * k;
        Zip::from(a.row_mut(1)).and(v).for_each(|x, &y| *x += y * y);
        a.slice_mut(s![.., 0]).map_inplace(|x| *x = x.sin());
        (&a * z).sum()
    }

    fn each_broadcast(z, v, k) {
        let mut a = z * k;
        Zip::from(&mut a).and_broadcast(v).for_each(|x, &y| *x *= y);
        (&a * z).sum()
    }

    fn each_branch(z, v, k) {
        let mut a = z * k;
        a.map_inplace(|x| if *x > 0.0 { *x *= k;
        } else { *x = x.exp();
        });
        (&a * z).sum()
    }

    fn each_running(z, v, k) {
        let mut s = 1.0;
        let mut m = 0.0;
        Zip::from(z).and(&z.t()).for_each(|&x, &y| { s *= 1.0 + 0.1 * x;
        m += y * s;
        });
        m * k
    }
}
