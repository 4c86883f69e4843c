package scraping

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Address is the address that Prometheus calls pods from: one of the pods' network, at its end, so
// that no pod has it.
var Address = netip.MustParseAddr("10.244.255.250")

// Pod is the pod that Prometheus has in a cluster, with what network policies select it by
// (prometheus-community chart prometheus 29.27.0, templates/_helpers.tpl, labels of the server).
func Pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: naming.NamespaceMonitoring, Name: "prometheus-server", UID: "prometheus-server",
		Labels: map[string]string{"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"},
	}}
}
