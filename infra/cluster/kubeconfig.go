package cluster

import (
	"fmt"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
)

// signInWithKubelogin returns kubeconfig with every user that runs kubelogin set to sign in by
// mode, and by nothing else: a token or a certificate beside it would be used without asking the
// directory. AKS hands out the mode devicecode, which waits for a person at a browser
// (pulumi-azure-native issue 2579). Users that do not run kubelogin, such as those with a client
// certificate alone, stay as they are.
func signInWithKubelogin(kubeconfig, mode string) (string, error) {
	config, err := clientcmd.Load([]byte(kubeconfig))
	if err != nil {
		return "", fmt.Errorf("the kubeconfig that Azure returned is malformed: %w", err)
	}
	changed := false
	for _, user := range config.AuthInfos {
		if user.Exec == nil || user.Exec.Command != "kubelogin" {
			continue
		}
		user.Exec.Args = withLogin(user.Exec.Args, mode)
		user.Token, user.TokenFile, user.Username, user.Password, user.AuthProvider = "", "", "", "", nil
		user.ClientCertificate, user.ClientCertificateData, user.ClientKey, user.ClientKeyData = "", nil, "", nil
		changed = true
	}
	if !changed {
		return kubeconfig, nil
	}
	text, err := clientcmd.Write(*config)
	if err != nil {
		return "", fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return string(text), nil
}

// withLogin replaces the mode, in whichever of its ways it is given, or adds it.
func withLogin(args []string, mode string) []string {
	out := make([]string, 0, len(args)+2)
	for i := 0; i < len(args); i++ {
		if args[i] == "--login" || args[i] == "-l" {
			i++ // its value goes with it
			continue
		}
		if strings.HasPrefix(args[i], "--login=") || strings.HasPrefix(args[i], "-l") {
			continue
		}
		out = append(out, args[i])
	}
	return append(out, "--login", mode)
}
