package networkpolicy

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func policiesOf(t *testing.T, source io.Reader, namespace string) []*networkingv1.NetworkPolicy {
	t.Helper()
	var all []*networkingv1.NetworkPolicy
	for decoder := yaml.NewYAMLOrJSONDecoder(source, 4096); ; {
		policy := &networkingv1.NetworkPolicy{}
		err := decoder.Decode(policy)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		policy.Namespace = namespace
		all = append(all, policy)
	}
}

func pod(namespace, name string, ports ...corev1.ContainerPort) Peer {
	return Peer{
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name),
				Labels: map[string]string{"app.kubernetes.io/name": name},
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
		},
		Namespace: labels.Set{corev1.LabelMetadataName: namespace},
	}
}

func outside(address string) Peer { return Peer{Address: netip.MustParseAddr(address)} }

// What the policies of the application let through, and what they do not.
func TestUnit_TheApplicationsPoliciesLetThroughWhatItNeeds(t *testing.T) {
	t.Parallel()
	manifest, err := os.Open("../../../../applications/gridos/base/network-policy.yaml")
	require.NoError(t, err)
	defer manifest.Close()
	policies := policiesOf(t, manifest, "gridos")
	require.NotEmpty(t, policies)
	service := pod("gridos", "gridos", corev1.ContainerPort{Name: "http", ContainerPort: 8080}, corev1.ContainerPort{Name: "admin", ContainerPort: 9000})
	gateway, database := pod("aks-istio-ingress", "gateway"), outside("10.20.4.4")
	for _, c := range []struct {
		name     string
		from, to Peer
		port     uint16
		refused  string
	}{
		{"a request of the gateway", gateway, service, 8080, ""},
		{"a scrape", pod("monitoring", "prometheus"), service, 8080, ""},
		{"the gateway at another port", gateway, service, 9000, "the network policies of namespace gridos that select pod gridos/gridos (default-deny, gridos)"},
		{"a pod of another namespace", pod("default", "other"), service, 8080, "add a rule for ingress"},
		{"a neighbour", pod("gridos", "gridos-smoke"), service, 8080, "add a rule for egress"},
		{"an address outside", outside("10.20.1.7"), service, 8080, "10.20.1.7 may not reach pod gridos/gridos at port 8080"},
		{"the database", service, database, 5432, ""},
		{"another port of the database", service, database, 22, "add a rule for egress"},
		{"a database in public", service, outside("20.50.1.1"), 5432, "add a rule for egress"},
		{"the migration's database", pod("gridos", "gridos-migrate"), database, 5432, ""},
		{"the smoke test's gateway", pod("gridos", "gridos-smoke"), gateway, 80, ""},
		{"the smoke test's database", pod("gridos", "gridos-smoke"), database, 5432, "(default-deny, gridos-smoke)"},
		{"a pod that no policy of its own selects", pod("gridos", "new"), database, 5432, "(default-deny)"},
		{"itself", service, service, 9000, ""},
		{"namespaces without a policy", pod("default", "other"), gateway, 80, ""},
	} {
		err := Check(policies, c.from, c.to, c.port)
		if c.refused == "" {
			assert.NoError(t, err, c.name)
		} else {
			assert.ErrorContains(t, err, c.refused, c.name)
		}
	}
}

func TestUnit_RulesMeanWhatKubernetesSays(t *testing.T) {
	t.Parallel()
	target := pod("gridos", "target", corev1.ContainerPort{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP})
	neighbour, stranger := pod("gridos", "neighbour"), pod("other", "neighbour")
	for _, c := range []struct {
		name, rules string
		from        Peer
		port        uint16
		allowed     bool
	}{
		{"no rule", "{}", neighbour, 80, false},
		{"a rule for all", "ingress: [{}]", stranger, 80, true},
		{"policies for egress do not concern ingress", "policyTypes: [Egress]", stranger, 80, true},
		{"rules for egress without types isolate ingress too", "egress: [{}]", stranger, 80, false},
		{"a selector of pods is of the policy's own namespace", "ingress: [{from: [{podSelector: {}}]}]", neighbour, 80, true},
		{"and of no other", "ingress: [{from: [{podSelector: {}}]}]", stranger, 80, false},
		{"both selectors of a peer must match", `ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}]}]`, stranger, 80, false},
		{"each peer is enough", `ingress: [{from: [{namespaceSelector: {}}, {podSelector: {matchLabels: {a: b}}}]}]`, stranger, 80, true},
		{"a range of ports", "ingress: [{ports: [{port: 80, endPort: 90}]}]", stranger, 90, true},
		{"beyond the range", "ingress: [{ports: [{port: 80, endPort: 90}]}]", stranger, 91, false},
		{"before the range", "ingress: [{ports: [{port: 80, endPort: 90}]}]", stranger, 79, false},
		{"another protocol", "ingress: [{ports: [{port: 80, protocol: UDP}]}]", stranger, 80, false},
		{"a name of another protocol", "ingress: [{ports: [{port: dns}]}]", stranger, 53, false},
		{"each port of a protocol", "ingress: [{ports: [{protocol: TCP}]}]", stranger, 1, true},
		{"a block of addresses", "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]", outside("10.2.0.1"), 80, true},
		{"an exception of it", "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]", outside("10.1.0.1"), 80, false},
		{"a block of addresses is no pod", "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", stranger, 80, false},
		{"a selector is no address outside", "ingress: [{from: [{namespaceSelector: {}}]}]", outside("10.2.0.1"), 80, false},
		{"another pod is selected", "podSelector: {matchLabels: {a: b}}", stranger, 80, true},
	} {
		source := bytes.NewBufferString("metadata: {name: only}\nspec:\n  " + c.rules)
		if c.rules == "{}" {
			source = bytes.NewBufferString("metadata: {name: only}")
		}
		err := Check(policiesOf(t, source, "gridos"), c.from, target, c.port)
		assert.Equal(t, c.allowed, err == nil, "%s: %v", c.name, err)
	}
	broken := policiesOf(t, bytes.NewBufferString("metadata: {name: broken}\nspec: {podSelector: {matchExpressions: [{key: a, operator: Like}]}}"), "gridos")
	require.ErrorContains(t, Check(broken, neighbour, target, 80), "network policy gridos/broken")
}
