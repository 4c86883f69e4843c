package services

import "strings"

// measured are metrics of one type that have the same dimensions.
type measured struct {
	kind, dimensions, names string
}

// published are the metrics of the types that the platform watches. Source: azure-monitor-docs
// reference/supported-metrics, for the cluster of 31 July 2026, for the gateway and the vault of
// 13 July 2026, for the server of 16 April 2025.
var published = []measured{
	{typeCluster, "", "apiserver_cpu_usage_percentage apiserver_memory_usage_percentage cluster_autoscaler_cluster_safe_to_autoscale " +
		"cluster_autoscaler_scale_down_in_cooldown cluster_autoscaler_unneeded_nodes_count cluster_autoscaler_unschedulable_pods_count " +
		"kube_node_status_allocatable_cpu_cores kube_node_status_allocatable_memory_bytes"},
	{typeCluster, "requestKind", "apiserver_current_inflight_requests"},
	{typeCluster, "partition", "etcd_cpu_usage_percentage etcd_database_usage_percentage etcd_memory_usage_percentage"},
	{typeCluster, "condition status status2 node", "kube_node_status_condition"},
	{typeCluster, "node nodepool", "node_cpu_usage_millicores node_cpu_usage_percentage node_memory_rss_bytes node_memory_rss_percentage " +
		"node_memory_working_set_bytes node_memory_working_set_percentage node_network_in_bytes node_network_out_bytes"},
	{typeCluster, "node nodepool device", "node_disk_usage_bytes node_disk_usage_percentage"},
	{typeCluster, "phase namespace pod", "kube_pod_status_phase"},
	{typeCluster, "namespace pod condition", "kube_pod_status_ready"},

	{typeGateway, "", "AzwafPenaltyBoxHits AzwafPenaltyBoxSize CapacityUnits ComputeUnits CpuUtilization CurrentConnections " +
		"EstimatedBilledCapacityUnits FixedBillableCapacityUnits NewConnectionsPerSecond Throughput WebSocketActiveConnections"},
	{typeGateway, "Listener", "ApplicationGatewayTotalTime BytesReceived BytesSent ClientRtt"},
	{typeGateway, "Listener TlsProtocol", "TlsProtocol"},
	{typeGateway, "BackendSettingsPool", "AvgRequestCountPerHealthyHost FailedRequests HealthyHostCount TotalRequests UnhealthyHostCount"},
	{typeGateway, "HttpStatusGroup", "ResponseStatus"},
	{typeGateway, "BackendServer BackendPool BackendHttpSetting HttpStatusGroup", "BackendResponseStatus"},
	{
		typeGateway, "Listener BackendServer BackendPool BackendHttpSetting",
		"BackendConnectTime BackendFirstByteResponseTime BackendLastByteResponseTime",
	},
	{typeGateway, "Action Category Mode CountryCode PolicyName PolicyScope", "AzwafBotProtection"},
	{typeGateway, "Action PolicyName Rule PolicyScope", "AzWAFCaptchaChallengeRequestCount AzWAFJSChallengeRequestCount"},
	{typeGateway, "Action CustomRuleID Mode CountryCode PolicyName PolicyScope", "AzwafCustomRule"},
	{typeGateway, "Action Mode RuleGroupID RuleID CountryCode PolicyName PolicyScope RuleSetName", "AzwafSecRule"},
	{typeGateway, "Action CountryCode Method Mode PolicyName PolicyScope", "AzwafTotalRequests"},
	{typeGateway, "RuleGroup RuleId", "BlockedCount MatchedCount"},
	{typeGateway, "RequestSource CloseStatus", "WebsocketSpecificCloseStatusCode"},

	{typeVault, "ActivityType ActivityName StatusCode StatusCodeClass", "Availability ServiceApiLatency ServiceApiResult"},
	{typeVault, "ActivityType ActivityName TransactionType", "SaturationShoebox"},
	{typeVault, "ActivityType ActivityName", "ServiceApiHit"},

	{typeServer, "ServerName", "longest_query_time_sec longest_transaction_time_sec oldest_backend_time_sec oldest_backend_xmin " +
		"oldest_backend_xmin_age is_db_alive connections_failed logical_replication_delay_in_bytes physical_replication_delay_in_bytes " +
		"physical_replication_delay_in_seconds cpu_percent iops memory_percent storage_free storage_percent storage_used " +
		"txlogs_storage_used active_connections connections_succeeded max_connections maximum_used_transactionIDs network_bytes_egress " +
		"network_bytes_ingress"},
	{typeServer, "", "postmaster_process_cpu_usage_percent tcp_connection_backlog"},
	{typeServer, "State ServerName", "sessions_by_state"},
	{typeServer, "WaitEventType ServerName", "sessions_by_wait_event_type"},
	{typeServer, "DatabaseName ServerName", "analyze_count_user_tables autoanalyze_count_user_tables autovacuum_count_user_tables " +
		"bloat_percent n_dead_tup_user_tables n_live_tup_user_tables n_mod_since_analyze_user_tables tables_analyzed_user_tables " +
		"tables_autoanalyzed_user_tables tables_autovacuumed_user_tables tables_counter_user_tables tables_vacuumed_user_tables " +
		"vacuum_count_user_tables blks_hit blks_read database_size_bytes deadlocks numbackends temp_bytes temp_files tps tup_deleted " +
		"tup_fetched tup_inserted tup_returned tup_updated xact_commit xact_rollback xact_total client_connections_active " +
		"client_connections_waiting num_pools server_connections_active server_connections_idle total_pooled_connections"},
	{typeServer, "ReplicationSlotName LogicalServerName", "logical_replication_slot_sync_status"},
	{typeServer, "LogicalServerName", "backup_storage_used cpu_credits_consumed cpu_credits_remaining disk_bandwidth_consumed_percentage " +
		"disk_iops_consumed_percentage disk_queue_depth read_iops read_throughput write_iops write_throughput"},
}

// metricsOf are the dimensions of each metric in lower case, by the ARM type in lower case.
var metricsOf = func() map[string]map[string][]string {
	all := map[string]map[string][]string{}
	for _, f := range published {
		kind := strings.ToLower(f.kind)
		if all[kind] == nil {
			all[kind] = map[string][]string{}
		}
		for _, name := range strings.Fields(f.names) {
			all[kind][strings.ToLower(name)] = strings.Fields(f.dimensions)
		}
	}
	return all
}()
