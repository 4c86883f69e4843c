package scraping

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// Server is what serves a port of a pod: nil for a pod about which it knows nothing, and Refuse for
// a port at which nothing listens.
type Server func(pod *corev1.Pod, port int) http.Handler

// Program is a program of the lab that stands for those in some pods.
type Program struct {
	// Namespace and Name, the value of app.kubernetes.io/name, are those of the pods.
	Namespace, Name string
	// Port is where the program serves its metrics in a pod.
	Port int
	// Address is where it does here, host:port.
	Address string
}

// Proxy is a proxy by which Prometheus reaches the pods of a cluster.
type Proxy struct {
	pods     corelisters.PodLister
	servers  []Server
	programs []Program
	listener *loopback.Server
	address  string
	stop     func()
}

// Serve begins to serve. A program's metrics are those of the first of its pods. Pods in which
// nothing runs, and that no server knows, have no metrics, which is no error to Prometheus.
func Serve(ctx context.Context, cluster *kube.Clients, programs []Program, servers ...Server) (*Proxy, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	factory := informers.NewSharedInformerFactory(cluster.Core, 0)
	p := &Proxy{pods: factory.Core().V1().Pods().Lister(), servers: servers, programs: programs}
	p.stop = func() {
		cancel()
		factory.Shutdown()
	}
	factory.Start(running.Done())
	factory.WaitForCacheSync(ctx.Done())
	listener, err := loopback.Listen(ctx, "Prometheus' way to pods", 0)
	if err != nil {
		p.stop()
		return nil, err
	}
	p.address = listener.Address()
	p.listener = listener.Serve(p, log.Default())
	return p, nil
}

// URL is the proxy's address.
func (p *Proxy) URL() string { return "http://" + p.address }

// Stop ends the proxy.
func (p *Proxy) Stop() error {
	err := p.listener.Stop()
	p.stop()
	return err
}

// ServeHTTP answers a request for a pod's address.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	host, portText, err := net.SplitHostPort(request.URL.Host)
	port, portErr := strconv.Atoi(portText)
	if err != nil || portErr != nil {
		http.Error(w, fmt.Sprintf("%q is no address of a pod", request.URL.Host), http.StatusBadRequest)
		return
	}
	all, err := p.pods.List(k8slabels.Everything())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	i := slices.IndexFunc(all, func(pod *corev1.Pod) bool { return pod.Status.PodIP == host && isRunning(pod) })
	if i < 0 {
		http.Error(w, "no pod that runs has the address "+host, http.StatusBadGateway)
		return
	}
	for _, server := range append(slices.Clone(p.servers), p.program(all)) {
		if handler := server(all[i], port); handler != nil {
			handler.ServeHTTP(w, request)
			return
		}
	}
	nothing(w)
}

func isRunning(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning }

// program lets the programs of the lab serve the first of their pods.
func (p *Proxy) program(all []*corev1.Pod) Server {
	return func(pod *corev1.Pod, port int) http.Handler {
		name := pod.Labels[nameLabel]
		i := slices.IndexFunc(p.programs, func(one Program) bool { return one.Namespace == pod.Namespace && one.Name == name })
		switch {
		case i < 0:
			return nil
		case p.programs[i].Port != port:
			return Refuse(fmt.Sprintf("%s serves its metrics at %d, and not at %d", name, p.programs[i].Port, port))
		}
		for _, other := range all {
			if other.Namespace == pod.Namespace && other.Labels[nameLabel] == name && isRunning(other) && other.Name < pod.Name {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { nothing(w) })
			}
		}
		return To(http.DefaultTransport, p.programs[i].Address)
	}
}

const nameLabel = "app.kubernetes.io/name"

// To passes requests on to an address, host:port.
func To(way http.RoundTripper, address string) http.Handler {
	return &httputil.ReverseProxy{
		Transport: way,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL = &url.URL{Scheme: "http", Host: address, Path: r.In.URL.Path, RawQuery: r.In.URL.RawQuery}
			r.Out.Host = ""
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
}

// Refuse answers for a port at which nothing listens.
func Refuse(why string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, why, http.StatusBadGateway) })
}

// nothing is a page without metrics.
func nothing(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
}
