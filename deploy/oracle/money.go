package oracle

import "math/big"

// An area is a rectangle of rule 8: positions in ppm of a GPU on the resource,
// instants in ms, both in one UTC hour.
type area struct{ x0, x1, t0, t1 int64 }

// corners is F(x₁,t₁) − F(x₀,t₁) − F(x₁,t₀) + F(x₀,t₀), t since the hour began.
func (a area) corners(f func(x, t int64) *big.Int) int64 {
	began := floorDiv(a.t0, hour) * hour
	t0, t1 := a.t0-began, a.t1-began
	sum := f(a.x1, t1)
	sum.Sub(sum, f(a.x0, t1))
	sum.Sub(sum, f(a.x1, t0))
	sum.Add(sum, f(a.x0, t0))
	return sum.Int64()
}

// ms is by G(x, t) = ⌊x·t / 10⁶⌋.
func (a area) ms() int64 {
	return a.corners(func(x, t int64) *big.Int {
		product := new(big.Int).Mul(big.NewInt(x), big.NewInt(t))
		return product.Div(product, big.NewInt(million))
	})
}

// money is by R(x, t) = ⌊A·x·t / (10⁶·n·T)⌋ nano-units, n the GPUs of the resource.
func (a area) money(perHour *big.Int, n int) int64 {
	divisor := big.NewInt(million * hour)
	divisor.Mul(divisor, big.NewInt(int64(n)))
	return a.corners(func(x, t int64) *big.Int {
		product := new(big.Int).Mul(big.NewInt(x), big.NewInt(t))
		product.Mul(product, perHour)
		return product.Div(product, divisor)
	})
}
