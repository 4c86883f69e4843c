package network

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/apparentlymart/go-cidr/cidr"

	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is the configuration of the network. Ranges are CIDRs; an empty subnet means "derive it
// from AddressSpace".
type Settings struct {
	// AddressSpace is the virtual network's range.
	AddressSpace string
	// Pods and Services are the cluster's overlay ranges, outside the virtual network.
	Pods, Services string
	// OperatorRanges are the private ranges, of peered networks or a VPN, from which people and
	// pipelines reach resources without a public address: a private API server and private
	// endpoints.
	OperatorRanges []string
}

// Plan is the environment's address plan. Every prefix is masked and IPv4.
type Plan struct {
	// AddressSpace is the virtual network's CIDR; the five subnets lie inside it and are disjoint
	// (rule N1).
	AddressSpace netip.Prefix
	// AKS, AppGateway, Postgres, Ingress and Endpoints are the subnets' CIDRs.
	AKS, AppGateway, Postgres, Ingress, Endpoints netip.Prefix
	// Pods and Services are the cluster's overlay CIDRs, outside the virtual network (rules N6, N7).
	Pods, Services netip.Prefix
	// DNSService is the cluster DNS address: inside Services, not its first address (rule N7).
	DNSService netip.Addr
	// IngressIP is the fixed address of the edge load balancer, in Ingress, that the gateway sends
	// traffic to.
	IngressIP netip.Addr
	// Operators are the private ranges from which people and pipelines reach private endpoints;
	// outside the virtual network.
	Operators []netip.Prefix
	// OperatorNetwork is the network that they are in, or none: then its owners peer it and link it to
	// the private zones.
	OperatorNetwork OperatorNetwork
}

// Configuration keys of the address plan.
const (
	keyAddressSpace    = "addressSpace"
	keyAKSSubnet       = "aksSubnet"
	keyGatewaySubnet   = "gatewaySubnet"
	keyPostgresSubnet  = "postgresSubnet"
	keyIngressSubnet   = "ingressSubnet"
	keyEndpointsSubnet = "endpointsSubnet"
	keyPodCIDR         = "podCidr"
	keyServiceCIDR     = "serviceCidr"
	keyOperatorRanges  = "operatorRanges"
)

// The derived layout of a /16: the nodes take the first /20, the other subnets a /24 each after it.
// /24 is what Azure recommends for an Application Gateway v2 (rule N2).
const (
	narrowestSpace = 16
	nodesNewBits   = 4
	subnetNewBits  = 8
	firstSubnet    = 16
	dnsHost        = 10 // Kubernetes' custom: the tenth address of the service range
	ingressHost    = 10 // Azure keeps the first four addresses of a subnet for itself
	widestServices = 12
)

// reserved are ranges that AKS uses itself and refuses anywhere in a cluster's network (rule N7).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.30.0.0/16"),
	netip.MustParsePrefix("172.31.0.0/16"),
	netip.MustParsePrefix("192.0.2.0/24"),
}

// special are ranges that Azure refuses in every virtual network, because they have a meaning of
// their own: loopback, its own resolver, multicast and broadcast (Azure Virtual Network FAQ, "What
// address ranges can I use in my virtual networks?").
var special = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("255.255.255.255/32"),
}

// block is a CIDR and the configuration key that decides it.
type block struct {
	key     string
	prefix  netip.Prefix
	derived bool // the configuration does not set it
}

// Load reads the address plan, with the defaults d. Mistakes are recorded in r; the plan is
// complete only when r.Err is nil.
func Load(r *config.Reader, d Settings) Plan {
	space := parse(r, keyAddressSpace, r.Text(keyAddressSpace, d.AddressSpace))
	subnets := []block{
		subnet(r, keyAKSSubnet, space, nodesNewBits, 0),
		subnet(r, keyGatewaySubnet, space, subnetNewBits, firstSubnet),
		subnet(r, keyPostgresSubnet, space, subnetNewBits, firstSubnet+1),
		subnet(r, keyIngressSubnet, space, subnetNewBits, firstSubnet+2),
		subnet(r, keyEndpointsSubnet, space, subnetNewBits, firstSubnet+3),
	}
	pods := block{key: keyPodCIDR, prefix: parse(r, keyPodCIDR, r.Text(keyPodCIDR, d.Pods))}
	services := block{key: keyServiceCIDR, prefix: parse(r, keyServiceCIDR, r.Text(keyServiceCIDR, d.Services))}

	for _, s := range subnets {
		if s.prefix.IsValid() && space.IsValid() && !contains(space, s.prefix) {
			r.Check(s.key, fmt.Errorf("%s lies outside %s %s; choose a range inside it", s.prefix, keyAddressSpace, space))
		}
	}
	disjoint(r, subnets)
	outside := []block{{key: keyAddressSpace, prefix: space}, pods, services}
	operators := []netip.Prefix{}
	for _, text := range r.Strings(keyOperatorRanges, d.OperatorRanges) {
		if p := parse(r, keyOperatorRanges, text); p.IsValid() {
			operators = append(operators, p)
			outside = append(outside, block{key: keyOperatorRanges, prefix: p})
		}
	}
	disjoint(r, outside)
	operatorNetwork := loadOperatorNetwork(r)
	if operatorNetwork.Configured() && len(operators) == 0 {
		r.Check(keyOperatorRanges, fmt.Errorf("is empty, but %s is peered, and the security groups let no peer in that is not listed; "+
			"list the ranges of %s", keyOperatorNetwork, operatorNetwork.Name))
	}
	for _, b := range append([]block{{key: keyAddressSpace, prefix: space}, pods, services}, subnets...) {
		for _, taken := range reserved {
			if b.prefix.IsValid() && b.prefix.Overlaps(taken) {
				r.Check(b.key, fmt.Errorf("%s overlaps %s, which AKS reserves; choose another range", b.prefix, taken))
			}
		}
		for _, taken := range special {
			if b.prefix.IsValid() && b.prefix.Overlaps(taken) {
				r.Check(b.key, fmt.Errorf("%s overlaps %s, which is no range for machines of one's own; choose a private one (RFC 1918)",
					b.prefix, taken))
			}
		}
	}
	if services.prefix.IsValid() && services.prefix.Bits() <= widestServices {
		r.Check(keyServiceCIDR, fmt.Errorf("%s is too wide; AKS takes a range smaller than a /%d, such as a /16",
			services.prefix, widestServices))
	}

	return Plan{
		AddressSpace: space,
		AKS:          subnets[0].prefix,
		AppGateway:   subnets[1].prefix,
		Postgres:     subnets[2].prefix,
		Ingress:      subnets[3].prefix,
		Endpoints:    subnets[4].prefix,
		Pods:         pods.prefix,
		Services:     services.prefix,
		DNSService:   host(r, services, dnsHost),
		IngressIP:    host(r, subnets[3], ingressHost),
		Operators:    operators,

		OperatorNetwork: operatorNetwork,
	}
}

// subnet returns the CIDR that key sets, or the one derived from space.
func subnet(r *config.Reader, key string, space netip.Prefix, newBits, number int) block {
	text := r.String(key, "")
	if text != "" || !space.IsValid() {
		return block{key: key, prefix: parse(r, key, text)}
	}
	derived, err := cidr.Subnet(ipNet(space), newBits, number)
	if err != nil || space.Bits() > narrowestSpace {
		r.Check(key, fmt.Errorf("cannot be derived from %s %s, which is too small; widen it to a /%d or set the subnet",
			keyAddressSpace, space, narrowestSpace))
		return block{key: key}
	}
	return block{key: key, prefix: prefix(derived), derived: true}
}

// parse returns the network that text writes, or an invalid prefix after recording the mistake. An
// empty text is no mistake: where it is one, it was recorded when the key was read.
func parse(r *config.Reader, key, text string) netip.Prefix {
	if text == "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		r.Check(key, fmt.Errorf("%q is not a CIDR; write it like 10.10.0.0/16", text))
	case !p.Addr().Is4():
		r.Check(key, fmt.Errorf("%s is not IPv4; this platform's network is IPv4 only", text))
	case p != p.Masked():
		r.Check(key, fmt.Errorf("%s has bits beyond its mask; write %s", text, p.Masked()))
	default:
		return p
	}
	return netip.Prefix{}
}

// disjoint records the blocks that overlap others, each once: of two, the one that the
// configuration sets, or else the later.
func disjoint(r *config.Reader, blocks []block) {
	overlaps := map[string][]string{}
	for i, b := range blocks {
		for _, a := range blocks[:i] {
			if !a.prefix.IsValid() || !b.prefix.IsValid() || !a.prefix.Overlaps(b.prefix) {
				continue
			}
			blamed, other := b, a
			if b.derived && !a.derived {
				blamed, other = a, b
			}
			overlaps[blamed.key] = append(overlaps[blamed.key], other.key+" "+other.prefix.String())
		}
	}
	for _, b := range blocks {
		if others := overlaps[b.key]; len(others) > 0 {
			r.Check(b.key, fmt.Errorf("%s overlaps %s; choose ranges that are disjoint", b.prefix, strings.Join(others, ", ")))
		}
	}
}

func host(r *config.Reader, b block, number int) netip.Addr {
	if !b.prefix.IsValid() {
		return netip.Addr{}
	}
	ip, err := cidr.Host(ipNet(b.prefix), number)
	if err != nil {
		r.Check(b.key, fmt.Errorf("%s is too small, it has no address number %d; use at least a /28: %w",
			b.prefix, number, err))
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// Room is how many addresses of a subnet are left for use: Azure keeps five of each.
func Room(subnet netip.Prefix) int {
	const keptByAzure = 5
	return int(cidr.AddressCount(ipNet(subnet))) - keptByAzure
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefix(n *net.IPNet) netip.Prefix {
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}
