package controlplane

import (
	"path/filepath"
	"strconv"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	controllerManagerName = "kube-controller-manager"
	schedulerName         = "kube-scheduler"
	kwokName              = "kwok"
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
			// A pod that was marked unready because its node seemed dead stays unready, because no
			// kubelet looks at it again. Simulated nodes do not die: silence only means that this
			// machine is busy.
			"--node-monitor-grace-period=10m",
			// A Helm release creates dozens of objects at once; the default of 20 requests per second makes it wait.
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

// secureServing are the flags that the two Kubernetes components share. Leader election is for several instances.
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

// kwok acts as the kubelet of every node: it renews the node's lease and moves pods to Running, or
// to Succeeded if a Job owns them.
func kwok(at layout, path, module string, port int) *process.Process {
	args := []string{
		"--kubeconfig=" + at.kubeconfig(kwokName),
		"--manage-all-nodes=true",
		"--node-ip=" + loopback,
		"--cidr=10.244.0.1/16",
		"--server-address=" + process.HostPort(port),
		// KWOK renews no leases by default, and a node without a lease is declared dead in less than a minute.
		"--node-lease-duration-seconds=40",
	}
	for _, stage := range stageFiles(module) {
		args = append(args, "--config="+stage)
	}
	return &process.Process{
		Name: kwokName,
		Path: path,
		Args: args,
		// Without it KWOK would also read the user's own ~/.kwok/kwok.yaml.
		Env:   []string{"KWOK_WORKDIR=" + at.kwok},
		Log:   at.log(kwokName),
		Ready: "http://" + process.HostPort(port) + "/readyz",
	}
}

// stageFiles are the stages of the KWOK module (v0.7.0) for nodes and pods that become ready at
// once. The lease keeps a node ready, so KWOK's heartbeat stages are not needed.
func stageFiles(module string) []string {
	stages := filepath.Join(module, "kustomize", "stage")
	return []string{
		filepath.Join(stages, "node", "fast", "node-initialize.yaml"),
		filepath.Join(stages, "pod", "fast", "pod-ready.yaml"),
		filepath.Join(stages, "pod", "fast", "pod-complete.yaml"),
		filepath.Join(stages, "pod", "fast", "pod-delete.yaml"),
	}
}
