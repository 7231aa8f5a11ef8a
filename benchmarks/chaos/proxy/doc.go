// Package proxy is a TCP relay whose weather can be changed: it cuts, resets,
// holds, delays and throttles the connections of one link. It knows no protocol
// and draws nothing by chance: who sets the weather decides.
//
// Shopify/toxiproxy is the well-kept proxy of this kind; it is a server with an
// HTTP interface, and its library form brings a router, a logger and five years
// old Protocol Buffers for what is two pages here.
package proxy
