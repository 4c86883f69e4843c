package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Networks finds out where a request comes from, and whether it may read.
type Networks struct {
	// Readers are the networks whose clients may read.
	Readers []netip.Prefix
	// Proxies are the networks of the proxies in front of the service, whose header X-Forwarded-For
	// the service trusts.
	Proxies []netip.Prefix
}

// Client is the address that a request comes from: the peer's or, when that is a proxy, the last in
// X-Forwarded-For that is not a proxy's. Each proxy adds the address that it was connected from at
// the end: the Application Gateway as address:port (azure-docs,
// application-gateway/how-application-gateway-works.md), the mesh's gateway as an address (Istio,
// network topologies, without trusted proxies). Entries that a client has written itself stand
// before these, and are ignored. When all entries are proxies' the first of them is the client. An
// unreadable address gives the zero address.
func (n Networks) Client(r *http.Request) netip.Addr {
	client := parse(r.RemoteAddr)
	if !contains(n.Proxies, client) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		if client = parse(hop); !contains(n.Proxies, client) {
			break
		}
	}
	return client
}

// MayRead says whether a client may read.
func (n Networks) MayRead(client netip.Addr) bool { return contains(n.Readers, client) }

func contains(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(address) })
}

// parse reads an address with or without a port. IPv4 in IPv6 is IPv4.
func parse(text string) netip.Addr {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone("")
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}
