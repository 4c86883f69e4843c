package network_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/internal/config"
)

// load reads an address plan from the defaults with changes.
func load(changes map[string]string) (network.Plan, error) {
	values := map[string]string{}
	for key, value := range changes {
		values["p:"+key] = value
	}
	r := config.FromMap("p", "dev", values)
	plan := network.Load(r, network.Settings{
		AddressSpace: "10.10.0.0/16", Pods: "10.244.0.0/16", Services: "10.96.0.0/16",
	})
	return plan, r.Err()
}

func TestUnit_PlanIsDerivedFromOneAddressSpace(t *testing.T) {
	t.Parallel()
	plan, err := load(nil)
	require.NoError(t, err)
	assert.Equal(t, "10.10.0.0/20", plan.AKS.String())
	assert.Equal(t, "10.10.16.0/24", plan.AppGateway.String())
	assert.Equal(t, "10.10.17.0/24", plan.Postgres.String())
	assert.Equal(t, "10.10.18.0/24", plan.Ingress.String())
	assert.Equal(t, "10.10.19.0/24", plan.Endpoints.String())
	assert.Equal(t, "10.96.0.10", plan.DNSService.String())
	assert.Equal(t, "10.10.18.10", plan.IngressIP.String())
}

func TestUnit_PlanTakesSubnetsAsTheyAreSet(t *testing.T) {
	t.Parallel()
	plan, err := load(map[string]string{"aksSubnet": "10.10.128.0/17", "ingressSubnet": "10.10.64.0/28"})
	require.NoError(t, err)
	assert.Equal(t, "10.10.128.0/17", plan.AKS.String())
	assert.Equal(t, "10.10.64.10", plan.IngressIP.String())
}

func TestUnit_PlanRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		changes map[string]string
		want    []string
	}{
		"no CIDR": {
			map[string]string{"addressSpace": "10.10.0.0/99", "podCidr": "pods"},
			[]string{`p:addressSpace: "10.10.0.0/99" is not a CIDR`, `p:podCidr: "pods" is not a CIDR`},
		},
		"bits beyond the mask": {
			map[string]string{"addressSpace": "10.10.1.0/16"},
			[]string{"p:addressSpace: 10.10.1.0/16 has bits beyond its mask; write 10.10.0.0/16"},
		},
		"IPv6": {map[string]string{"podCidr": "fd00::/16"}, []string{"p:podCidr: fd00::/16 is not IPv4"}},
		"subnet outside": {
			map[string]string{"postgresSubnet": "10.11.0.0/24"},
			[]string{"p:postgresSubnet: 10.11.0.0/24 lies outside addressSpace 10.10.0.0/16"},
		},
		"subnet wider than the space": {
			map[string]string{"postgresSubnet": "10.10.0.0/15"},
			[]string{"p:postgresSubnet: 10.10.0.0/15 lies outside addressSpace 10.10.0.0/16"},
		},
		"subnets overlap": {
			map[string]string{"gatewaySubnet": "10.10.1.0/24", "ingressSubnet": "10.10.17.0/25"},
			[]string{
				"p: 2 mistakes",
				"p:gatewaySubnet: 10.10.1.0/24 overlaps aksSubnet 10.10.0.0/20",
				"p:ingressSubnet: 10.10.17.0/25 overlaps postgresSubnet 10.10.17.0/24",
			},
		},
		"one chosen subnet overlaps several derived ones": {
			map[string]string{"aksSubnet": "10.10.16.0/22"},
			[]string{
				"p: 1 mistake in", "p:aksSubnet: 10.10.16.0/22 overlaps gatewaySubnet 10.10.16.0/24, postgresSubnet 10.10.17.0/24, " +
					"ingressSubnet 10.10.18.0/24, endpointsSubnet 10.10.19.0/24; choose ranges that are disjoint",
			},
		},
		"overlay overlaps": {
			map[string]string{"podCidr": "10.0.0.0/8", "serviceCidr": "10.10.128.0/20"},
			[]string{"p:podCidr: 10.0.0.0/8 overlaps addressSpace", "p:serviceCidr: 10.10.128.0/20 overlaps addressSpace 10.10.0.0/16, podCidr 10.0.0.0/8"},
		},
		"reserved by AKS": {
			map[string]string{"serviceCidr": "172.30.0.0/16"},
			[]string{"p:serviceCidr: 172.30.0.0/16 overlaps 172.30.0.0/16, which AKS reserves"},
		},
		"services too wide": {map[string]string{"serviceCidr": "10.96.0.0/12"}, []string{"p:serviceCidr: 10.96.0.0/12 is too wide"}},
		"space too small":   {map[string]string{"addressSpace": "10.10.0.0/20"}, []string{"p:aksSubnet: cannot be derived"}},
		"no room for the address": {
			map[string]string{"ingressSubnet": "10.10.64.0/30"},
			[]string{"p:ingressSubnet: 10.10.64.0/30 is too small, it has no address number 10"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(test.changes)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}
