package controlplane

import (
	"fmt"
	"net/url"
	"strconv"

	"k8s.io/client-go/tools/clientcmd"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// clusterName is the name of cluster, user and context in every kubeconfig.
const clusterName = "gridos-lab"

// user is a client that signs in to the API server with a certificate.
type user struct {
	name   string // of the files, and the component's name
	login  string
	groups []string
}

// adminUser has the login that AKS hands out for the cluster's administrator: it may do everything.
var adminUser = user{name: "admin", login: "gridos-lab-admin", groups: []string{"system:masters"}}

// users are all users. The API server itself binds the controller manager and the scheduler to
// their roles. The node agent is the kubelet of every node, and may do all that a node's own may.
var users = []user{
	adminUser,
	{name: controllerManagerName, login: "system:kube-controller-manager"},
	{name: schedulerName, login: "system:kube-scheduler"},
	{name: kubeletName, login: "gridos-lab-kubelet", groups: []string{"system:masters"}},
}

// writeKubeconfigs writes one file per user and returns their contents by user name.
func writeKubeconfigs(at layout, pki *authority, server *url.URL) (map[string][]byte, error) {
	contents := map[string][]byte{}
	for _, user := range users {
		pair, err := pki.issue(certificate{name: user.name, commonName: user.login, groups: user.groups})
		if err != nil {
			return nil, err
		}
		config := clientcmdapi.NewConfig()
		config.Clusters[clusterName] = &clientcmdapi.Cluster{Server: server.String(), CertificateAuthorityData: pki.caPEM()}
		config.AuthInfos[clusterName] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.certPEM, ClientKeyData: pair.keyPEM}
		config.Contexts[clusterName] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: clusterName}
		config.CurrentContext = clusterName
		content, err := clientcmd.Write(*config)
		if err != nil {
			return nil, fmt.Errorf("encode the kubeconfig of %s: %w", user.name, err)
		}
		if err := writeFile(at.kubeconfig(user.name), content); err != nil {
			return nil, err
		}
		contents[user.name] = content
	}
	return contents, nil
}

// splitServer splits a kubeconfig's server URL into host and port.
func splitServer(server string) (host string, port int, err error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(parsed.Port())
	return parsed.Hostname(), port, err
}
