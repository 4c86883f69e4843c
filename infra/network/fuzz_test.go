package network_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/internal/config"
)

// FuzzPlan: every accepted plan can be deployed, and is the same when it is written out and read
// again; a mistake names its key.
func FuzzPlan(f *testing.F) {
	f.Add("10.10.0.0/16", "", "", "", "", "", "10.244.0.0/16", "10.96.0.0/16", "")
	f.Add("10.20.0.0/16", "10.20.128.0/17", "10.20.64.0/24", "10.20.65.0/28", "10.20.66.0/28", "10.20.67.0/27",
		"192.168.0.0/16", "172.16.0.0/24", "10.30.0.0/24 10.31.7.9/32")
	f.Add("10.0.0.0/8", "10.0.0.0/12", "", "", "", "", "100.64.0.0/10", "192.168.0.0/28", "172.20.0.0/16")
	f.Add("10.10.0.0/24", "10.10.0.0/26", "10.10.0.64/26", "10.10.0.128/28", "10.10.0.144/28", "10.10.0.160/28", "10.244.0.0/16",
		"10.96.0.0/29", "0.0.0.0/0")
	f.Add("fd00::/16", "::ffff:10.0.0.0/112", "10.1", "10.0.0.0/33", "10.0.0.1/24", "010.0.0.0/8", "0.0.0.0/0", "172.30.0.0/16", "x y")
	f.Add("224.0.0.0/16", "", "", "", "", "", "127.0.0.0/16", "255.255.0.0/16", "")
	f.Fuzz(func(t *testing.T, space, aks, gateway, postgres, ingress, endpoints, pods, services, operators string) {
		list, err := json.Marshal(strings.Fields(operators))
		require.NoError(t, err)
		given := map[string]string{
			"p:addressSpace": space, "p:aksSubnet": aks, "p:gatewaySubnet": gateway, "p:postgresSubnet": postgres,
			"p:ingressSubnet": ingress, "p:endpointsSubnet": endpoints, "p:podCidr": pods, "p:serviceCidr": services,
			"p:operatorRanges": string(list),
		}
		read := func(given map[string]string) (network.Plan, error) {
			r := config.FromMap("p", "dev", given)
			plan := network.Load(r, network.Settings{})
			return plan, r.Err()
		}
		plan, err := read(given)
		if err != nil {
			var all *config.Error
			require.ErrorAs(t, err, &all)
			for _, mistake := range all.Mistakes {
				key, _, _ := strings.Cut(mistake.Error(), ": ")
				assert.Contains(t, given, key, "names no key: %s", mistake)
			}
			_, again := read(given)
			require.EqualError(t, again, err.Error(), "the same ranges have the same mistakes")
			return
		}
		subnets := map[string]netip.Prefix{
			"p:aksSubnet": plan.AKS, "p:gatewaySubnet": plan.AppGateway, "p:postgresSubnet": plan.Postgres,
			"p:ingressSubnet": plan.Ingress, "p:endpointsSubnet": plan.Endpoints,
		}
		ranges := []netip.Prefix{plan.AddressSpace, plan.Pods, plan.Services}
		inside := []netip.Prefix{}
		for key, subnet := range subnets {
			assert.True(t, plan.AddressSpace.Contains(subnet.Addr()) && plan.AddressSpace.Bits() <= subnet.Bits(),
				"%s %s is not in %s", key, subnet, plan.AddressSpace)
			inside = append(inside, subnet)
		}
		disjoint(t, inside)
		disjoint(t, append(slices.Clone(ranges), plan.Operators...))
		for _, p := range slices.Concat(ranges, inside, plan.Operators) {
			assert.True(t, p.IsValid() && p.Addr().Is4() && p == p.Masked(), p)
		}
		for _, taken := range []string{
			"169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24", // AKS takes these for itself
			"127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32", // and Azure takes these in no virtual network
		} {
			for _, p := range ranges {
				assert.False(t, p.Overlaps(netip.MustParsePrefix(taken)), "%s has addresses of %s", p, taken)
			}
		}
		assert.Greater(t, plan.Services.Bits(), 12)
		assert.True(t, plan.Services.Contains(plan.DNSService) && plan.DNSService != plan.Services.Addr().Next(), plan.DNSService)
		fifth := plan.Ingress.Addr().Next().Next().Next().Next() // Azure keeps four, and the last
		assert.True(t, plan.Ingress.Contains(plan.IngressIP.Next()) && fifth.Compare(plan.IngressIP) <= 0, plan.IngressIP)

		written := map[string]string{
			"p:addressSpace": plan.AddressSpace.String(), "p:podCidr": plan.Pods.String(), "p:serviceCidr": plan.Services.String(),
		}
		for key, subnet := range subnets {
			written[key] = subnet.String()
		}
		list, err = json.Marshal(plan.Operators)
		require.NoError(t, err)
		written["p:operatorRanges"] = string(list)
		again, err := read(written)
		require.NoError(t, err)
		assert.Equal(t, plan, again)
	})
}

func disjoint(t *testing.T, prefixes []netip.Prefix) {
	t.Helper()
	for i, one := range prefixes {
		for _, other := range prefixes[:i] {
			assert.False(t, one.Overlaps(other), "%s overlaps %s", one, other)
		}
	}
}
