package oracle

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
)

// exact reads a number as JSON writes it.
func exact(text string) (*big.Rat, bool) {
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') || !json.Valid([]byte(text)) {
		return nil, false
	}
	return new(big.Rat).SetString(tameExponent(text))
}

// tameExponent cuts an exponent down to one that decides the same bounds and
// roundings, since 1e999999999 written out fills the memory.
func tameExponent(text string) string {
	const enough = 3000
	at := strings.IndexAny(text, "eE")
	if at < 0 {
		return text
	}
	exponent, err := strconv.Atoi(text[at+1:])
	switch {
	case text[at+1] == '-' && (err != nil || exponent < -enough):
		exponent = -enough
	case err != nil || exponent > enough:
		exponent = enough
	}
	return text[:at+1] + strconv.Itoa(exponent)
}

// scaled reads a number times 10^scale.
func scaled(text string, scale int64) (*big.Rat, bool) {
	r, ok := exact(text)
	if !ok {
		return nil, false
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(scale), nil)
	return r.Mul(r, new(big.Rat).SetInt(ten)), true
}

// floor is the greatest whole number that is not above r.
func floor(r *big.Rat) *big.Int {
	return new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: the floor, as the denominator is positive
}

// halfUp is the nearest whole number, the greater one of two.
func halfUp(r *big.Rat) *big.Int {
	return floor(new(big.Rat).Add(r, big.NewRat(1, 2)))
}

// floorDiv is ⌊a/b⌋ for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// mulDiv is ⌊a·b/c⌋ for c > 0.
func mulDiv(a, b, c int64) int64 {
	product := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	return product.Div(product, big.NewInt(c)).Int64()
}
