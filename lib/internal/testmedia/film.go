package testmedia

import (
	"fmt"
	"strings"
)

// Film is a filter graph of shots between hard cuts, each a fractal seen by an
// unsteady hand that turns and pans in its own way, with grain and pink noise
// for sound: as unlike itself from moment to moment as what cameras see, which
// the usual test pictures are not. Its outputs are [v0], [v1] … of the given
// sizes and [a0], [a1] ….
func Film(seconds float64, sizes ...string) string {
	shots := []struct{ d, x, y, scale, speed, grain float64 }{
		{7.2, -0.743643887037151, 0.131825904205330, 0.005, 0.8, 2},
		{4.4, -0.16, 1.0405, 0.02, 1.9, 4},
		{9.12, -1.25066, 0.02012, 0.004, 0.5, 1},
		{2.8, -0.7436, 0.1318, 0.0005, 2.6, 3},
		{11, 0.001643721971153, -0.822467633298876, 0.01, 1.1, 6},
		{5.6, -0.16, 1.0405, 0.002, 0.3, 2},
		{8, -0.743643887037151, 0.131825904205330, 0.2, 1.5, 2},
		{12, -1.25066, 0.02012, 0.05, 0.7, 3},
		{6.4, 0.2929859127507, 0.6117848324958, 0.01, 1.3, 2},
		{10, -0.170337, -1.06506, 0.03, 0.9, 4},
	}
	var b, all strings.Builder
	n, left := 0, seconds
	for i, s := range shots {
		if left <= 0 {
			break
		}
		d := min(s.d, left)
		left -= d
		n++
		v, k := s.speed, float64(i)
		fmt.Fprintf(&b, "mandelbrot=s=384x216:r=25:start_x=%v:start_y=%v:start_scale=%v:maxiter=300,trim=end_frame=1,loop=-1:size=1,setpts=N/25/TB,trim=duration=%v,", s.x, s.y, s.scale, d)
		fmt.Fprintf(&b, "rotate=a='0.4*sin(t*%v)+0.06*sin(t*%v+%v)*sin(t*%v)+0.02*(random(%d)-0.5)':bilinear=0,", v, v*5.3, k, 1.3+0.37*k, i)
		fmt.Fprintf(&b, "crop=240:136:x='(iw-ow)/2*(1+0.7*sin(t*%v)+0.2*sin(t*%v+%v)*sin(t*%v))':y='(ih-oh)/2*(1+0.6*sin(t*%v)+0.1*sin(t*%v))',", v*1.3, 5.1+0.83*k, k, v*3.1, v*0.9, 9+0.61*k)
		fmt.Fprintf(&b, "noise=alls=%v:allf=t:all_seed=%d,format=yuv420p[s%d];", s.grain, i+1, i)
		fmt.Fprintf(&all, "[s%d]", i)
	}
	fmt.Fprintf(&b, "%sconcat=n=%d:v=1,split=%d", all.String(), n, len(sizes))
	for i := range sizes {
		fmt.Fprintf(&b, "[c%d]", i)
	}
	for i, s := range sizes {
		fmt.Fprintf(&b, ";[c%d]scale=%s:flags=fast_bilinear,setsar=1[v%d]", i, s, i)
	}
	fmt.Fprintf(&b, ";anoisesrc=d=%v:c=pink:a=0.3:seed=3,tremolo=f=0.7,asplit=%d", seconds, len(sizes))
	for i := range sizes {
		fmt.Fprintf(&b, "[a%d]", i)
	}
	return b.String()
}
