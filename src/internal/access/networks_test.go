package access_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/src/internal/access"
)

func TestUnit_AClientIsWhatTheLastProxySaw(t *testing.T) {
	t.Parallel()
	networks := access.Networks{
		Readers: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32"),
		},
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		client    string
		mayRead   bool
	}{
		"a client by itself":                       {"203.0.113.9:4711", nil, "203.0.113.9", false},
		"one that claims to be another":            {"203.0.113.9:4711", []string{"198.51.100.7"}, "203.0.113.9", false},
		"through both gateways":                    {"10.244.0.5:80", []string{"198.51.100.7:4711, 10.30.1.4"}, "198.51.100.7", true},
		"the Internet through both gateways":       {"10.244.0.5:80", []string{"203.0.113.9:4711, 10.30.1.4"}, "203.0.113.9", false},
		"a claim through both gateways":            {"10.244.0.5:80", []string{"198.51.100.7, 203.0.113.9:4711, 10.30.1.4"}, "203.0.113.9", false},
		"a private claim through both gateways":    {"10.244.0.5:80", []string{"10.1.1.1", "203.0.113.9:4711,10.30.1.4"}, "203.0.113.9", false},
		"nonsense through both gateways":           {"10.244.0.5:80", []string{"198.51.100.7, unknown, 10.30.1.4"}, "invalid IP", false},
		"IPv6 through both gateways":               {"10.244.0.5:80", []string{"[2001:db8::7]:4711, 10.30.1.4"}, "2001:db8::7", true},
		"IPv4 in IPv6":                             {"[::ffff:203.0.113.9]:4711", nil, "203.0.113.9", false},
		"a pod through the mesh's gateway":         {"10.244.0.5:80", []string{"10.244.3.9"}, "10.244.3.9", true},
		"an operator in the network, by a gateway": {"10.244.0.5:80", []string{"10.99.0.1:4711, 10.30.1.4"}, "10.99.0.1", true},
		"no header from a proxy":                   {"10.244.0.5:80", nil, "10.244.0.5", true},
	} {
		request := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		client := networks.Client(request)
		assert.Equal(t, c.client, client.String(), name)
		assert.Equal(t, c.mayRead, networks.MayRead(client), name)
	}
}

func TestUnit_EachClientHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	limiter, now := access.NewLimiter(10), time.Now()
	for i := range 20 {
		_, allowed := limiter.Take("a", now)
		assert.True(t, allowed, "request %d at once", i)
	}
	wait, allowed := limiter.Take("a", now)
	assert.False(t, allowed)
	assert.InDelta(t, 100*time.Millisecond, wait, float64(time.Millisecond))
	_, allowed = limiter.Take("b", now)
	assert.True(t, allowed, "another client")
	_, allowed = limiter.Take("a", now.Add(wait))
	assert.True(t, allowed, "after the wait")
	for i := range 20_000 { // more than are remembered
		_, allowed = limiter.Take(fmt.Sprint(i), now)
		assert.True(t, allowed)
	}
	for range 1000 {
		_, allowed = access.NewLimiter(0).Take("a", now)
		assert.True(t, allowed, "no limit")
	}
	assert.Equal(t, "203.0.113.9", access.Network(netip.MustParseAddr("203.0.113.9")))
	assert.Equal(t, "2001:db8:1:2::/64", access.Network(netip.MustParseAddr("2001:db8:1:2:3:4:5:6")))
}
