package access

import (
	"math"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// remembered is how many of the latest clients a limiter remembers: about 2 MB.
const remembered = 10_000

// Limiter bounds how many requests a client sends to this replica.
type Limiter struct {
	perSecond int
	clients   *lru.Cache[string, *rate.Limiter]
}

// NewLimiter returns a limiter for so many requests a second of each client, and twice as many at
// once. With 0 there is no limit.
func NewLimiter(perSecond int) *Limiter {
	clients, err := lru.New[string, *rate.Limiter](remembered)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Limiter{perSecond: perSecond, clients: clients}
}

// Take counts a request of a client. When there were too many, wait is how long it takes until the
// next is allowed.
func (l *Limiter) Take(client string, now time.Time) (wait time.Duration, allowed bool) {
	if l.perSecond == 0 {
		return 0, true
	}
	bucket, known := l.clients.Get(client)
	if !known {
		bucket = rate.NewLimiter(rate.Limit(l.perSecond), 2*l.perSecond)
		if other, found, _ := l.clients.PeekOrAdd(client, bucket); found {
			bucket = other
		}
	}
	if bucket.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(math.Ceil(missing / float64(l.perSecond) * float64(time.Second))), false
}

// Network is what an address is counted by: IPv4 by itself, IPv6 by the network of 64 bits that one
// client has.
func Network(address netip.Addr) string {
	if address.Is6() {
		network, _ := address.Prefix(64) // it has 128
		return network.String()
	}
	return address.String()
}
