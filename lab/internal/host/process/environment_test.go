package process

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUnit_WhatTheUserHasSetDoesNotReachWhatTheLabRuns(t *testing.T) {
	for _, name := range []string{
		"PULUMI_OPTION_TARGET", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_HOME", "HELM_NAMESPACE", "GIT_DIR", "GIT_CONFIG_PARAMETERS", "GOFLAGS",
		"KUBECONFIG", "ARM_CLIENT_SECRET", "AZURE_CONFIG_DIR", "XDG_CONFIG_HOME", "ARGOCD_OPTS", "LD_PRELOAD",
	} {
		t.Setenv(name, "hostile")
	}
	t.Setenv("HOME", "/home/user")
	t.Setenv("TZ", "Europe/Berlin")
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("HTTPS_PROXY", "http://proxy.example.com")
	environment := Environment("/lab/home")
	text := strings.Join(environment, "\n")
	assert.NotContains(t, text, "hostile")
	assert.NotContains(t, text, "/home/user")
	assert.Subset(t, environment, []string{"HOME=/lab/home", "TZ=Europe/Berlin", "LC_ALL=C.UTF-8", "HTTPS_PROXY=http://proxy.example.com"})
	assert.Contains(t, text, "PATH=")
}
