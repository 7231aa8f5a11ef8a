// Package money cuts amounts so that nothing is lost (rule 8) and converts
// between decimals and nano-units of a currency.
//
// An amount is an int64 of nano-units. A Rate spreads an amount over the
// positions of a resource's GPUs and over the milliseconds of a period: what a
// rectangle of positions x time costs is a difference of four floors, so that
// rectangles which tile the whole add up to the amount, to the nano. All
// arithmetic is exact, in 128 bits, and allocates nothing. The package knows no
// currency, no exchange rate and no price list.
package money
