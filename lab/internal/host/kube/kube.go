// Package kube connects the lab to its Kubernetes API server.
package kube

import (
	"fmt"
	"os"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Clients are the clients of one API server, which share their connections.
type Clients struct {
	// Config is the address and the login, for clients that are not here.
	Config *rest.Config
	// Core knows the kinds of Kubernetes itself.
	Core kubernetes.Interface
	// Objects knows every kind.
	Objects dynamic.Interface
}

// Connect returns the clients of the API server that a kubeconfig file names. They ask it nothing
// yet. The error names the file.
func Connect(file string) (*Clients, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	clients, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return clients, nil
}

// Parse is Connect with the text of a kubeconfig.
func Parse(kubeconfig []byte) (*Clients, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return New(config)
}

// New is Connect with an address and a login. It changes the configuration.
func New(config *rest.Config) (*Clients, error) {
	// The API server is on this machine, for this lab alone: the limit of five requests a second
	// that client-go sets would only make the lab slow.
	config.QPS, config.Burst = 200, 400
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for the API server: %w", err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for the API server: %w", err)
	}
	return &Clients{config, core, objects}, nil
}
