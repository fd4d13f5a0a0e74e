package simd

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRows checks, with every set of kernels, that rows are gathered, scattered and added as by AddScaled one by one, to the last bit.
func TestRows(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rows, n, levels := rapid.IntRange(1, 9).Draw(t, "rows"), rapid.IntRange(1, 70).Draw(t, "n"), rapid.IntRange(1, 4).Draw(t, "levels")
			stride, gap := rapid.IntRange(2, 4).Draw(t, "stride"), rapid.IntRange(0, 3).Draw(t, "gap")
			r := newRand(rapid.Uint64().Draw(t, "seed"))
			values := randomSlice[float32](r, rows*stride, 1)
			for i := range rows {
				values[i*stride+1] = float32(r.IntN(levels))
			}
			table, w := randomSlice[float32](r, levels*n, 1), randomSlice[float32](r, n, 1)
			level := func(i int) int { return int(values[i*stride+1]) }

			got, want := newGuarded[float32](rows*n), make([]float32, rows*n)
			GatherRows(got.data, table, w, values, stride, 1, 0)
			got.check(t, "GatherRows")
			for i := range rows {
				AddScaled(want[i*n:(i+1)*n], table[level(i)*n:(level(i)+1)*n], values[i*stride], w)
			}
			if !slices.Equal(got.data, want) {
				t.Fatalf("GatherRows is %v, want %v", got.data, want)
			}

			src, srs, trs := randomSlice[float32](r, rows*(n+gap), 1), n+gap, n+1
			sums := newGuarded[float32]((levels-1)*trs + n)
			copy(sums.data, randomSlice[float32](r, len(sums.data), 1))
			want = slices.Clone(sums.data)
			ScatterRows(rows, n, sums.data, trs, src, srs, values, stride, 1)
			sums.check(t, "ScatterRows")
			for i := range rows {
				to := want[level(i)*trs:][:n]
				AddScaled(to, to, 1, src[i*srs:][:n])
			}
			if !slices.Equal(sums.data, want) {
				t.Fatalf("ScatterRows is %v, want %v", sums.data, want)
			}

			k := rapid.IntRange(0, stride).Draw(t, "k")
			combined, of := newGuarded[float32](rows*n), randomSlice[float32](r, k*n, 1)
			copy(combined.data, src)
			want = slices.Clone(combined.data)
			AddCombinations(rows, n, k, combined.data, values, stride, of)
			combined.check(t, "AddCombinations")
			for i := range rows {
				for j := range k {
					to := want[i*n : (i+1)*n]
					AddScaled(to, to, values[i*stride+j], of[j*n:(j+1)*n])
				}
			}
			if !slices.Equal(combined.data, want) {
				t.Fatalf("AddCombinations is %v, want %v", combined.data, want)
			}

			m := rapid.IntRange(1, stride).Draw(t, "m")
			sums2 := newGuarded[float32](m * (n + 3))
			copy(sums2.data, randomSlice[float32](r, len(sums2.data), 1))
			want = slices.Clone(sums2.data)
			AddWeightedSums(m, n, rows, sums2.data, n+3, values, stride, src, srs)
			sums2.check(t, "AddWeightedSums")
			for j := range m {
				for i := range rows {
					to := want[j*(n+3):][:n]
					AddScaled(to, to, values[i*stride+j], src[i*srs:][:n])
				}
			}
			if !slices.Equal(sums2.data, want) {
				t.Fatalf("AddWeightedSums is %v, want %v", sums2.data, want)
			}

			index := make([]int32, rows)
			for i := range index {
				index[i] = int32(level(i))
			}
			added, scale := newGuarded[float32](rows*n), float32(r.NormFloat64())
			copy(added.data, src)
			want = slices.Clone(added.data)
			AddGathered(n, added.data, table, index, scale)
			added.check(t, "AddGathered")
			scattered := newGuarded[float32](levels * n)
			copy(scattered.data, table)
			wantTable := slices.Clone(table)
			AddScattered(n, scattered.data, src, index, scale)
			scattered.check(t, "AddScattered")
			for i := range rows {
				to, of := want[i*n:(i+1)*n], wantTable[level(i)*n:(level(i)+1)*n]
				AddScaled(to, to, scale, table[level(i)*n:(level(i)+1)*n])
				AddScaled(of, of, scale, src[i*n:(i+1)*n])
			}
			if !slices.Equal(added.data, want) || !slices.Equal(scattered.data, wantTable) {
				t.Fatalf("AddGathered is %v, want %v; AddScattered is %v, want %v", added.data, want, scattered.data, wantTable)
			}

			sum := newGuarded[float32](n)
			copy(sum.data, w)
			want = slices.Clone(w)
			AddRows(rows, sum.data, src, srs)
			AddWeightedRows(rows, sum.data, src, srs, values, stride)
			sum.check(t, "AddRows")
			for i := range rows {
				AddScaled(want, want, 1, src[i*srs:][:n])
			}
			for i := range rows {
				AddScaled(want, want, values[i*stride], src[i*srs:][:n])
			}
			if !slices.Equal(sum.data, want) {
				t.Fatalf("AddRows and AddWeightedRows give %v, want %v", sum.data, want)
			}
		})
	})
}

// TestLayers compares the passes of rectified layers with the functions that they stand for.
func TestLayers(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rows, n := rapid.IntRange(1, 12).Draw(t, "rows"), rapid.IntRange(1, 70).Draw(t, "n")
			steps, classes := rapid.IntRange(1, 4).Draw(t, "steps"), rapid.IntRange(1, 5).Draw(t, "classes")
			r := newRand(rapid.Uint64().Draw(t, "seed"))
			var of Pooled
			for range rows {
				of.Steps, of.Classes = append(of.Steps, int32(r.IntN(steps))), append(of.Classes, int32(r.IntN(classes)))
			}
			scale := float32(r.NormFloat64())
			grad, x := randomSlice[float32](r, rows*n, 1), randomSlice[float32](r, rows*n, 1)
			byStep, byStep2, byClass := randomSlice[float32](r, steps*n, 1), randomSlice[float32](r, steps*n, 1), randomSlice[float32](r, classes*n, 1)
			// same calls both forms with copies of what they write, and compares these.
			same := func(name string, fused, apart func(v [][]float32), written ...[]float32) {
				t.Helper()
				var got []guarded[float32]
				var gotData, want [][]float32
				for _, w := range written {
					g := newGuarded[float32](len(w))
					copy(g.data, w)
					got, gotData, want = append(got, g), append(gotData, g.data), append(want, slices.Clone(w))
				}
				fused(gotData)
				apart(want)
				for i, g := range got {
					g.check(t, name)
					if !slices.Equal(g.data, want[i]) {
						t.Fatalf("%s: result %d is %v, want %v", name, i, g.data, want[i])
					}
				}
			}
			same("GatherSum", func(v [][]float32) { GatherSum(n, v[0], byStep, of.Steps, byClass, of.Classes) }, func(v [][]float32) {
				clear(v[0])
				AddGathered(n, v[0], byStep, of.Steps, 1)
				AddGathered(n, v[0], byClass, of.Classes, 1)
			}, grad)
			same("RectifyScattered", func(v [][]float32) { RectifyScattered(n, v[0], v[1], of.Steps, scale) }, func(v [][]float32) {
				Rectify(v[0])
				AddScattered(n, v[1], v[0], of.Steps, scale)
			}, x, byStep)
			same("AddGatheredRectified", func(v [][]float32) { AddGatheredRectified(n, v[0], byStep, of.Steps) }, func(v [][]float32) {
				AddGathered(n, v[0], byStep, of.Steps, 1)
				Rectify(v[0])
			}, x)
			Rectify(x)
			same("RectifyGradScattered", func(v [][]float32) { RectifyGradScattered(n, v[0], x, v[1], of.Steps) }, func(v [][]float32) {
				RectifyGrad(v[0], x)
				AddScattered(n, v[1], v[0], of.Steps, 1)
			}, grad, byStep)
			same("PooledGrad", func(v [][]float32) { PooledGrad(of, n, v[0], x, byStep, scale, v[1], v[2]) }, func(v [][]float32) {
				AddGathered(n, v[0], byStep, of.Steps, scale)
				RectifyGrad(v[0], x)
				AddScattered(n, v[1], v[0], of.Steps, 1)
				AddScattered(n, v[2], v[0], of.Classes, 1)
			}, grad, byStep2, byClass)
		})
	})
}

// TestGemmFrom checks that products begin with rows as if those had been in C, and with one row for all.
func TestGemmFrom(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m, n, k := rapid.IntRange(1, 20).Draw(t, "m"), rapid.IntRange(1, 220).Draw(t, "n"), rapid.IntRange(0, 150).Draw(t, "k")
			p := newProduct[float32](newRand(rapid.Uint64().Draw(t, "seed")), m, n, k, 1, false, true)
			start := randomSlice[float32](newRand(7), n+2, 1)
			srs := rapid.SampledFrom([]int{0, n}).Draw(t, "stride of the start")
			if srs > 0 {
				start = randomSlice[float32](newRand(7), m*n, 1)
			}
			GemmFrom(m, n, k, p.a, p.ars, p.acs, p.b, p.brs, p.c.data, p.crs, start, srs)
			p.c.check(t, "GemmFrom")
			got := slices.Clone(p.c.data)
			for i := range m {
				copy(p.c.data[i*p.crs:][:n], start[i*srs:])
			}
			p.run()
			if !slices.Equal(got, p.c.data) {
				t.Fatalf("from %d: %v, want %v", srs, got, p.c.data)
			}
		})
	})
}

func TestTranspose(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := newRand(1)
		for rows := range 35 {
			for cols := range 35 {
				src, got := randomSlice[float32](r, rows*cols, 1), newGuarded[float32](rows*cols)
				Transpose(got.data, src, rows, cols)
				got.check(t, "Transpose")
				for i := range rows {
					for j := range cols {
						if got.data[j*rows+i] != src[i*cols+j] {
							t.Fatalf("%d×%d: element %d, %d is %v, want %v", rows, cols, j, i, got.data[j*rows+i], src[i*cols+j])
						}
					}
				}
			}
		}
	})
}
