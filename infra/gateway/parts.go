package gateway

import (
	azure "github.com/pulumi/pulumi-azure-native-sdk/network/v2/v20240501"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The names of the gateway's parts.
const (
	gatewayIP    = "gateway-ip"
	frontendIP   = "public"
	httpPort     = "http"
	httpListener = "http"
	tlsPort      = "https"
	tlsListener  = "https"
	certificate  = "edge"
	edgePool     = "edge"
	edgeSettings = "edge-http"
	edgeProbe    = "edge-ready"
	edgeRule     = "to-edge"
	toHTTPS      = "http-to-https"
)

// istioReadiness is the path on port 15021 that an Istio ingress gateway answers when it is ready.
const (
	istioReadiness     = "/healthz/ready"
	istioReadinessPort = 15021
)

// part returns the reference to a part of the gateway: the parts refer to each other by the id that
// they will have within the gateway, spelled in advance because a resource cannot refer to its own
// id (rule G1).
func part(args Args, collection, name string) azure.SubResourceArgs {
	return azure.SubResourceArgs{Id: pulumi.Sprintf(
		"/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Network/applicationGateways/%s/%s/%s",
		args.SubscriptionID, args.ResourceGroupName, args.Names.Gateway, collection, name)}
}

func gatewayArgs(args Args, publicIPID, policyID pulumi.StringInput, reader certificateReader) *azure.ApplicationGatewayArgs {
	out := &azure.ApplicationGatewayArgs{
		ResourceGroupName:      args.ResourceGroupName,
		ApplicationGatewayName: pulumi.String(args.Names.Gateway),
		Location:               pulumi.String(args.Location),
		Zones:                  pulumi.ToStringArray(args.Settings.Zones),
		Sku: azure.ApplicationGatewaySkuArgs{
			Name: pulumi.String(azure.ApplicationGatewaySkuName_WAF_v2),
			Tier: pulumi.String(azure.ApplicationGatewayTier_WAF_v2),
		},
		AutoscaleConfiguration: azure.ApplicationGatewayAutoscaleConfigurationArgs{
			MinCapacity: pulumi.Int(args.Settings.MinCapacity),
			MaxCapacity: pulumi.Int(args.Settings.MaxCapacity),
		},
		// The policy, not WebApplicationFirewallConfiguration, which Azure retires in March 2027 (rule
		// G4).
		FirewallPolicy: azure.SubResourceArgs{Id: policyID},
		SslPolicy: azure.ApplicationGatewaySslPolicyArgs{ // pinned: the default moves with the API version (rule G5)
			PolicyType: pulumi.String(azure.ApplicationGatewaySslPolicyTypePredefined),
			PolicyName: pulumi.String(azure.ApplicationGatewaySslPolicyNameAppGwSslPolicy20220101S),
		},
		GatewayIPConfigurations: azure.ApplicationGatewayIPConfigurationArray{azure.ApplicationGatewayIPConfigurationArgs{
			Name:   pulumi.String(gatewayIP),
			Subnet: azure.SubResourceArgs{Id: args.SubnetID},
		}},
		FrontendIPConfigurations: azure.ApplicationGatewayFrontendIPConfigurationArray{
			azure.ApplicationGatewayFrontendIPConfigurationArgs{
				Name:            pulumi.String(frontendIP),
				PublicIPAddress: azure.SubResourceArgs{Id: publicIPID},
			},
		},
		Tags: args.Tags,
	}
	backend(out, args)
	if args.Settings.Certificate.Configured() {
		serveTLS(out, args, reader)
	} else {
		servePlain(out, args)
	}
	return out
}

// backend sends traffic to the edge load balancer. After the gateway it is plain HTTP, up to the
// application's pods, which are not part of the mesh: it stays in the virtual network.
func backend(out *azure.ApplicationGatewayArgs, args Args) {
	out.BackendAddressPools = azure.ApplicationGatewayBackendAddressPoolArray{azure.ApplicationGatewayBackendAddressPoolArgs{
		Name: pulumi.String(edgePool),
		BackendAddresses: azure.ApplicationGatewayBackendAddressArray{azure.ApplicationGatewayBackendAddressArgs{
			IpAddress: pulumi.String(args.BackendIP),
		}},
	}}
	out.Probes = azure.ApplicationGatewayProbeArray{azure.ApplicationGatewayProbeArgs{
		Name:               pulumi.String(edgeProbe),
		Protocol:           pulumi.String(azure.ApplicationGatewayProtocolHttp),
		Host:               pulumi.String(args.BackendIP),
		Port:               pulumi.Int(istioReadinessPort),
		Path:               pulumi.String(istioReadiness),
		Interval:           pulumi.Int(10),
		Timeout:            pulumi.Int(5),
		UnhealthyThreshold: pulumi.Int(3),
	}}
	out.BackendHttpSettingsCollection = azure.ApplicationGatewayBackendHttpSettingsArray{
		azure.ApplicationGatewayBackendHttpSettingsArgs{
			Name:                pulumi.String(edgeSettings),
			Protocol:            pulumi.String(azure.ApplicationGatewayProtocolHttp),
			Port:                pulumi.Int(80),
			CookieBasedAffinity: pulumi.String(azure.ApplicationGatewayCookieBasedAffinityDisabled),
			RequestTimeout:      pulumi.Int(30),
			Probe:               part(args, "probes", edgeProbe),
		},
	}
}

// servePlain serves HTTP to clients: dev without a certificate.
func servePlain(out *azure.ApplicationGatewayArgs, args Args) {
	out.FrontendPorts = azure.ApplicationGatewayFrontendPortArray{port(httpPort, 80)}
	out.HttpListeners = azure.ApplicationGatewayHttpListenerArray{plainListener(args)}
	out.RequestRoutingRules = azure.ApplicationGatewayRequestRoutingRuleArray{toEdge(args, httpListener)}
}

// serveTLS serves HTTPS to clients, and sends those who come by HTTP there.
func serveTLS(out *azure.ApplicationGatewayArgs, args Args, reader certificateReader) {
	out.Identity = azure.ManagedServiceIdentityArgs{
		Type:                   azure.ResourceIdentityTypeUserAssigned,
		UserAssignedIdentities: pulumi.StringArray{reader.identityID},
	}
	out.SslCertificates = azure.ApplicationGatewaySslCertificateArray{azure.ApplicationGatewaySslCertificateArgs{
		Name:             pulumi.String(certificate),
		KeyVaultSecretId: pulumi.String(args.Settings.Certificate.SecretID),
	}}
	out.FrontendPorts = azure.ApplicationGatewayFrontendPortArray{port(tlsPort, 443), port(httpPort, 80)}
	out.HttpListeners = azure.ApplicationGatewayHttpListenerArray{
		azure.ApplicationGatewayHttpListenerArgs{
			Name:                    pulumi.String(tlsListener),
			Protocol:                pulumi.String(azure.ApplicationGatewayProtocolHttps),
			FrontendIPConfiguration: part(args, "frontendIPConfigurations", frontendIP),
			FrontendPort:            part(args, "frontendPorts", tlsPort),
			SslCertificate:          part(args, "sslCertificates", certificate),
		},
		plainListener(args),
	}
	out.RedirectConfigurations = azure.ApplicationGatewayRedirectConfigurationArray{
		azure.ApplicationGatewayRedirectConfigurationArgs{
			Name:               pulumi.String(toHTTPS),
			RedirectType:       pulumi.String(azure.ApplicationGatewayRedirectTypePermanent),
			TargetListener:     part(args, "httpListeners", tlsListener),
			IncludePath:        pulumi.Bool(true),
			IncludeQueryString: pulumi.Bool(true),
		},
	}
	out.RequestRoutingRules = azure.ApplicationGatewayRequestRoutingRuleArray{
		toEdge(args, tlsListener),
		azure.ApplicationGatewayRequestRoutingRuleArgs{
			Name:                  pulumi.String(toHTTPS),
			Priority:              pulumi.Int(200),
			RuleType:              pulumi.String(azure.ApplicationGatewayRequestRoutingRuleTypeBasic),
			HttpListener:          part(args, "httpListeners", httpListener),
			RedirectConfiguration: part(args, "redirectConfigurations", toHTTPS),
		},
	}
}

func port(name string, number int) azure.ApplicationGatewayFrontendPortArgs {
	return azure.ApplicationGatewayFrontendPortArgs{Name: pulumi.String(name), Port: pulumi.Int(number)}
}

func plainListener(args Args) azure.ApplicationGatewayHttpListenerArgs {
	return azure.ApplicationGatewayHttpListenerArgs{
		Name:                    pulumi.String(httpListener),
		Protocol:                pulumi.String(azure.ApplicationGatewayProtocolHttp),
		FrontendIPConfiguration: part(args, "frontendIPConfigurations", frontendIP),
		FrontendPort:            part(args, "frontendPorts", httpPort),
	}
}

func toEdge(args Args, listener string) azure.ApplicationGatewayRequestRoutingRuleArgs {
	return azure.ApplicationGatewayRequestRoutingRuleArgs{
		Name:                pulumi.String(edgeRule),
		Priority:            pulumi.Int(100), // required since API version 2021-08-01 (rule G2)
		RuleType:            pulumi.String(azure.ApplicationGatewayRequestRoutingRuleTypeBasic),
		HttpListener:        part(args, "httpListeners", listener),
		BackendAddressPool:  part(args, "backendAddressPools", edgePool),
		BackendHttpSettings: part(args, "backendHttpSettingsCollection", edgeSettings),
	}
}
