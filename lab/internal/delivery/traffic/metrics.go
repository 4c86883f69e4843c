package traffic

import (
	"fmt"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/scraping"
)

// statusPort is where Istio's agent in a gateway's pod serves the metrics (istio 1.31,
// pkg/kube/inject/webhook.go, applyPrometheusMerge).
const statusPort = 15020

// Metrics lets a pod of the application answer what Prometheus asks it, and has the metrics of the
// gateway's pods. It is nil for other pods.
func (t *Traffic) Metrics(pod *corev1.Pod, port int) http.Handler {
	switch {
	case pod.Namespace == naming.NamespaceGridOS && t.Pods != nil:
		return scraping.To(t.scrapes, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)))
	case pod.Namespace != naming.NamespaceIstioIngress:
		return nil
	case port != statusPort:
		return scraping.Refuse(fmt.Sprintf("a gateway's pod serves its metrics at %d, and not at %d", statusPort, port))
	}
	t.mu.Lock()
	g := t.gateways[pod.UID]
	t.mu.Unlock()
	if g == nil {
		g = newGateway() // it has served nothing
	}
	return g.metrics
}
