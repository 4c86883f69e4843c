package controlplane

import (
	"path/filepath"
	"strconv"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	controllerManagerName = "kube-controller-manager"
	schedulerName         = "kube-scheduler"
)

// controllerManager runs all controllers of a normal cluster, each with its own account, as kubeadm
// sets it up.
func controllerManager(at layout, path string, port int) *process.Process {
	return &process.Process{
		Name: controllerManagerName,
		Path: path,
		Args: append(secureServing(at, controllerManagerName, port),
			"--use-service-account-credentials=true",
			"--service-account-private-key-file="+filepath.Join(at.pki, serviceAccountKeyFile),
			"--root-ca-file="+filepath.Join(at.pki, caCertFile),
			// The nodes do not die: silence only means that this machine is busy.
			"--node-monitor-grace-period=10m",
			// A Helm release creates dozens of objects at once; the default of 20 requests per second makes
			// it wait.
			"--kube-api-qps=200", "--kube-api-burst=400",
		),
		Log:   at.log(controllerManagerName),
		Ready: "https://" + process.HostPort(port) + "/healthz",
		CA:    filepath.Join(at.pki, caCertFile),
	}
}

func scheduler(at layout, path string, port int) *process.Process {
	return &process.Process{
		Name: schedulerName,
		Path: path,
		Args: append(secureServing(at, schedulerName, port),
			"--kube-api-qps=200", "--kube-api-burst=400",
		),
		Log:   at.log(schedulerName),
		Ready: "https://" + process.HostPort(port) + "/readyz",
		CA:    filepath.Join(at.pki, caCertFile),
	}
}

// secureServing are the flags that the two Kubernetes components share. Leader election is for
// several instances.
func secureServing(at layout, component string, port int) []string {
	return []string{
		"--kubeconfig=" + at.kubeconfig(component),
		"--leader-elect=false",
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + filepath.Join(at.pki, servingCertificate.name+".crt"),
		"--tls-private-key-file=" + filepath.Join(at.pki, servingCertificate.name+".key"),
	}
}
