//! What template.yaml must say: nothing gets lost, nobody may do more than needed, and names agree with the code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use platform::configuration::Resources;
use serde_json::{Value, json};

use crate::cloudformation::template;
use crate::repository::{Package, packages, read, sources};

/// The policy statements that may say `*`, and why.
const STATEMENTS_WITH_A_WILDCARD: [(&str, &str, &str); 3] = [
    (
        "SecretsKey",
        "PoliciesOfThisAccountDecide",
        "a key's policy is about the key itself; policies of the roles decide",
    ),
    (
        "WebhookKey",
        "PoliciesOfThisAccountDecide",
        "a key's policy is about the key itself; policies of the roles decide",
    ),
    (
        "DispatcherFunction",
        "StreamsHaveNoResource",
        "dynamodb:ListStreams takes no resource",
    ),
];

/// The template's resources of a type, by logical id.
fn resources(kind: &str) -> BTreeMap<String, Value> {
    let template = template();
    let all = template["Resources"]
        .as_object()
        .expect("resources are a map");
    let found: BTreeMap<_, _> = all
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.clone(), resource["Properties"].clone()))
        .collect();
    assert!(!found.is_empty(), "there is no {kind}");
    found
}

/// The resource whose attribute a value gets.
fn owner_of(value: &Value) -> &str {
    let text = value["Fn::GetAtt"]
        .as_str()
        .unwrap_or_else(|| panic!("{value} gets no attribute"));
    text.split('.').next().unwrap_or_default()
}

fn reference(value: &Value) -> &str {
    value["Ref"]
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no reference"))
}

fn list(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map_or_else(|| vec![value], |items| items.iter().collect())
}

/// Every map anywhere in a value that has a key.
fn maps_with<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    if value.get(key).is_some() {
        found.push(value);
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| maps_with(item, key, found)),
        Value::Object(entries) => entries
            .values()
            .for_each(|entry| maps_with(entry, key, found)),
        _ => {}
    }
}

/// Every policy statement of the template, with the logical id of its resource.
fn statements(template: &Value) -> Vec<(&str, &Value)> {
    let mut all = Vec::new();
    for (name, resource) in template["Resources"]
        .as_object()
        .expect("resources are a map")
    {
        let mut found = Vec::new();
        maps_with(resource, "Effect", &mut found);
        all.extend(
            found
                .into_iter()
                .map(|statement| (name.as_str(), statement)),
        );
    }
    assert!(!all.is_empty(), "there are no policies");
    all
}

/// The event source mappings of queues: the queue, the function, and the mapping.
fn queue_mappings() -> Vec<(String, String, Value)> {
    let queues = resources("AWS::SQS::Queue");
    let mappings = resources("AWS::Lambda::EventSourceMapping")
        .into_values()
        .filter_map(|mapping| {
            let queue = owner_of(&mapping["EventSourceArn"]).to_owned();
            let function = reference(&mapping["FunctionName"]).to_owned();
            queues
                .contains_key(&queue)
                .then_some((queue, function, mapping))
        });
    mappings.collect()
}

#[test]
fn every_queue_that_is_consumed_has_a_dead_letter_queue_that_keeps_messages_for_14_days() {
    let template = template();
    let queues = resources("AWS::SQS::Queue");
    let mut consumed: BTreeSet<String> = queue_mappings()
        .into_iter()
        .map(|(queue, ..)| queue)
        .collect();
    for (_, statement) in statements(&template) {
        if list(&statement["Action"]).contains(&&json!("sqs:ReceiveMessage")) {
            consumed.extend(
                list(&statement["Resource"])
                    .into_iter()
                    .map(|queue| owner_of(queue).to_owned()),
            );
        }
    }
    assert!(
        consumed.contains("RunQueue") && consumed.contains("DeliveryQueue"),
        "{consumed:?}"
    );
    let mut dead_letters = BTreeSet::new();
    for name in &consumed {
        let redrive = &queues[name]["RedrivePolicy"];
        assert!(
            redrive["maxReceiveCount"]
                .as_i64()
                .is_some_and(|count| count > 1),
            "{name}: {redrive}"
        );
        dead_letters.insert(owner_of(&redrive["deadLetterTargetArn"]).to_owned());
    }
    // What is neither consumed nor takes what failed would fill up unseen.
    for (name, queue) in queues.iter().filter(|(name, _)| !consumed.contains(*name)) {
        assert_eq!(queue["MessageRetentionPeriod"], 14 * 24 * 60 * 60, "{name}");
    }
    assert!(
        dead_letters
            .iter()
            .all(|name| queues.contains_key(name) && !consumed.contains(name)),
        "{dead_letters:?}"
    );
}

#[test]
fn what_fails_without_a_queue_before_it_goes_to_a_queue_too() {
    let queues = resources("AWS::SQS::Queue");
    let is_queue = |target: &Value| queues.contains_key(owner_of(target));
    for (name, schedule) in resources("AWS::Scheduler::Schedule") {
        assert!(
            is_queue(&schedule["Target"]["DeadLetterConfig"]["Arn"]),
            "{name}"
        );
    }
    for (name, mapping) in resources("AWS::Lambda::EventSourceMapping") {
        if !queues.contains_key(owner_of(&mapping["EventSourceArn"])) {
            assert!(
                is_queue(&mapping["DestinationConfig"]["OnFailure"]["Destination"]),
                "{name}"
            );
            assert_eq!(mapping["BisectBatchOnFunctionError"], true, "{name}");
            assert!(
                mapping["MaximumRetryAttempts"]
                    .as_i64()
                    .is_some_and(|most| most > 0),
                "{name}"
            );
        }
    }
    let trigger = &resources("AWS::Serverless::Function")["JobTriggerFunction"];
    assert!(is_queue(
        &trigger["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]
    ));
}

#[test]
fn every_queue_for_failures_has_an_alarm() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    let is_watched = |queue: &str| {
        let value = json!({ "Fn::GetAtt": format!("{queue}.QueueName") });
        alarms.values().any(|alarm| {
            alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
                && alarm["Dimensions"][0]["Value"] == value
        })
    };
    for (name, queue) in resources("AWS::SQS::Queue") {
        assert!(
            queue.get("RedrivePolicy").is_some() || is_watched(&name),
            "nobody hears of what is in {name}"
        );
    }
}

#[test]
fn every_batch_is_answered_in_part() {
    for (name, mapping) in resources("AWS::Lambda::EventSourceMapping") {
        assert_eq!(
            mapping["FunctionResponseTypes"],
            json!(["ReportBatchItemFailures"]),
            "{name}"
        );
    }
}

#[test]
fn a_message_stays_hidden_for_six_times_the_time_that_its_function_has() {
    let (queues, functions) = (
        resources("AWS::SQS::Queue"),
        resources("AWS::Serverless::Function"),
    );
    let mappings = queue_mappings();
    assert!(!mappings.is_empty(), "no function consumes a queue");
    for (queue, function, _) in mappings {
        let visibility = queues[&queue]["VisibilityTimeout"]
            .as_i64()
            .expect("a number of seconds");
        let timeout = functions[&function]["Timeout"]
            .as_i64()
            .expect("a number of seconds");
        assert!(
            visibility >= 6 * timeout,
            "{queue}: {visibility} s, {function}: {timeout} s"
        );
    }
}

#[test]
fn no_policy_allows_everything_but_those_that_must() {
    let says_everything = |value: &Value| {
        list(value).iter().any(|item| {
            item.as_str()
                .is_some_and(|text| text == "*" || text.ends_with(":*"))
        })
    };
    let template = template();
    let found: BTreeSet<(&str, &str)> = statements(&template)
        .into_iter()
        .filter(|(_, statement)| statement["Effect"] == "Allow")
        .filter(|(_, statement)| {
            statement.get("NotAction").is_some()
                || statement.get("NotResource").is_some()
                || says_everything(&statement["Action"])
                || says_everything(&statement["Resource"])
        })
        .map(|(resource, statement)| {
            (
                resource,
                statement["Sid"].as_str().unwrap_or("without a Sid"),
            )
        })
        .collect();
    let expected = STATEMENTS_WITH_A_WILDCARD.map(|(resource, sid, _)| (resource, sid));
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn every_function_has_a_policy_of_its_own_and_no_role_that_others_share() {
    for (name, function) in resources("AWS::Serverless::Function") {
        assert!(
            function.get("Role").is_none(),
            "{name} has somebody else's role"
        );
        let policies = function["Policies"]
            .as_array()
            .unwrap_or_else(|| panic!("{name} has no policies"));
        assert!(
            policies
                .iter()
                .all(|policy| policy.get("Statement").is_some()),
            "{name} takes a policy made elsewhere"
        );
    }
    let template = template();
    assert!(
        template["Globals"]["Function"].get("Policies").is_none()
            && template["Globals"]["Function"].get("Role").is_none()
    );
}

#[test]
fn no_policy_allows_an_action_on_the_table_that_the_store_never_takes() {
    let store: String = sources("shared/store/src")
        .into_iter()
        .map(|source| source.code)
        .collect();
    let calls = [
        ("dynamodb:GetItem", ".get_item()"),
        ("dynamodb:BatchGetItem", ".batch_get_item()"),
        ("dynamodb:PutItem", ".put_item()"),
        ("dynamodb:UpdateItem", ".update_item()"),
        ("dynamodb:DeleteItem", ".delete_item()"),
        ("dynamodb:Query", ".query()"),
    ];
    let taken: BTreeSet<&str> = calls
        .into_iter()
        .filter(|(_, call)| store.contains(call))
        .map(|(action, _)| action)
        .collect();
    // The stream's own actions are Lambda's, not the store's.
    let is_about_the_stream = |action: &str| {
        action.contains("Stream") || action.contains("Shard") || action.contains("GetRecords")
    };
    let template = template();
    let allowed: BTreeSet<&str> = statements(&template)
        .into_iter()
        .flat_map(|(_, statement)| list(&statement["Action"]))
        .filter_map(Value::as_str)
        .filter(|action| action.starts_with("dynamodb:") && !is_about_the_stream(action))
        .collect();
    assert_eq!(allowed, taken);
}

/// What each part calls, found by reading its code: of all that a role may do, that its code does it can be said only
/// here. Who needs more must say so.
const CALLS: [(&str, &str, &[&str]); 31] = [
    (
        "ApiFunction",
        "Table",
        &[
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ],
    ),
    (
        "ApiFunction",
        "Table/index/byOrganization",
        &["dynamodb:Query"],
    ),
    ("ApiFunction", "Table/index/byStatus", &["dynamodb:Query"]),
    ("ApiFunction", "Table/index/byWorkflow", &["dynamodb:Query"]),
    ("ApiFunction", "RunQueue", &["sqs:SendMessage"]),
    (
        "ApiFunction",
        "ArtifactBucket/*",
        &["s3:GetObject", "s3:PutObject"],
    ),
    ("ApiFunction", "ArtifactBucket", &["s3:ListBucket"]),
    ("ApiFunction", "SecretsKey", &["kms:Encrypt"]),
    ("ApiFunction", "WebhookKey", &["kms:Decrypt", "kms:Encrypt"]),
    (
        "DispatcherFunction",
        "Table",
        &[
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            // An organization's endpoints.
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ],
    ),
    // What runs is counted there before another run is admitted.
    (
        "DispatcherFunction",
        "Table/index/byStatus",
        &["dynamodb:Query"],
    ),
    (
        "DispatcherFunction",
        "Table/stream",
        &[
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
        ],
    ),
    ("DispatcherFunction", "RunQueue", &["sqs:SendMessage"]),
    ("DispatcherFunction", "DeliveryQueue", &["sqs:SendMessage"]),
    (
        "DispatcherFunction",
        "DispatcherFailureQueue",
        &["sqs:SendMessage"],
    ),
    (
        "DispatcherFunction",
        "ArtifactBucket/values/*",
        &["s3:PutObject"],
    ),
    (
        "DelivererFunction",
        "Table",
        &[
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        ],
    ),
    (
        "DelivererFunction",
        "DeliveryQueue",
        &[
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
    ),
    ("DelivererFunction", "WebhookKey", &["kms:Decrypt"]),
    (
        "SweeperFunction",
        "Table",
        &[
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ],
    ),
    ("SweeperFunction", "Table/index/due", &["dynamodb:Query"]),
    (
        "SweeperFunction",
        "Table/index/byStatus",
        &["dynamodb:Query"],
    ),
    ("SweeperFunction", "RunQueue", &["sqs:SendMessage"]),
    ("SweeperFunction", "DeliveryQueue", &["sqs:SendMessage"]),
    (
        "SweeperFunction",
        "ArtifactBucket/values/*",
        &["s3:PutObject"],
    ),
    (
        "JobTriggerFunction",
        "Table",
        &["dynamodb:GetItem", "dynamodb:PutItem"],
    ),
    (
        "RunnerTaskRole",
        "Table",
        &[
            "dynamodb:BatchGetItem",
            // An answer that was taken.
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
        ],
    ),
    (
        "RunnerTaskRole",
        "Table/index/byStatus",
        &["dynamodb:Query"],
    ),
    (
        "RunnerTaskRole",
        "RunQueue",
        &[
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
    ),
    (
        "RunnerTaskRole",
        "ArtifactBucket/*",
        &["s3:GetObject", "s3:PutObject"],
    ),
    ("RunnerTaskRole", "SecretsKey", &["kms:Decrypt"]),
];

/// What a policy statement is about: `Table`, `Table/stream`, `Table/index/due`, `ArtifactBucket/*`.
fn subject(resource: &Value) -> Option<String> {
    if let Some(attribute) = resource["Fn::GetAtt"].as_str() {
        let name = attribute.strip_suffix(".Arn");
        let stream = || Some(format!("{}/stream", attribute.strip_suffix(".StreamArn")?));
        return name.map(str::to_owned).or_else(stream);
    }
    let text = resource["Fn::Sub"].as_str()?;
    Some(text.strip_prefix("${")?.replace(".Arn}", ""))
}

#[test]
fn each_part_may_do_what_its_code_does_with_table_bucket_queues_and_keys_and_nothing_else() {
    let template = template();
    let mut parts: BTreeSet<String> = resources("AWS::Serverless::Function").into_keys().collect();
    parts.insert("RunnerTaskRole".to_owned());
    let mut found: BTreeMap<(&str, String), BTreeSet<&str>> = BTreeMap::new();
    for (part, statement) in statements(&template) {
        if !parts.contains(part) || statement["Effect"] != "Allow" {
            continue;
        }
        for resource in list(&statement["Resource"]) {
            let actions = list(&statement["Action"])
                .into_iter()
                .filter_map(Value::as_str);
            let actions = actions.filter(|action| {
                let services = ["dynamodb:", "kms:", "s3:", "sqs:"];
                services.iter().any(|service| action.starts_with(service))
            });
            for action in actions.filter(|action| *action != "dynamodb:ListStreams") {
                let subject = subject(resource);
                let subject = subject.unwrap_or_else(|| panic!("{part} {action}: {resource}"));
                found.entry((part, subject)).or_default().insert(action);
            }
        }
    }
    let expected: BTreeMap<(&str, String), BTreeSet<&str>> = CALLS
        .iter()
        .map(|(part, subject, actions)| {
            let actions = actions.iter().copied().collect();
            ((*part, (*subject).to_owned()), actions)
        })
        .collect();
    assert_eq!(expected.len(), CALLS.len(), "something stands there twice");
    for (key, actions) in &found {
        assert_eq!(Some(actions), expected.get(key), "{key:?}");
    }
    assert_eq!(found.len(), expected.len());
}

/// The functions whose code, or that of a function's library in it, makes some call.
fn functions_that_call(call: &str) -> BTreeSet<String> {
    let packages = packages();
    let of_functions = || {
        packages
            .iter()
            .filter(|package| package.folder.starts_with("functions"))
    };
    let calls: BTreeSet<&str> = of_functions()
        .filter(|package| {
            let mut code = sources(package.folder.join("src")).into_iter();
            code.any(|source| source.code.contains(call))
        })
        .map(|package| package.name.as_str())
        .collect();
    assert!(!calls.is_empty(), "nobody calls {call}");
    let reaches = |package: &&Package| {
        calls.contains(package.name.as_str())
            || package
                .shipped_dependencies
                .iter()
                .any(|name| calls.contains(name.as_str()))
    };
    let reaching: BTreeSet<String> = of_functions()
        .filter(reaches)
        .map(|package| format!("target/lambda/{}/", package.name))
        .collect();
    resources("AWS::Serverless::Function")
        .into_iter()
        .filter(|(_, function)| reaching.contains(function["CodeUri"].as_str().unwrap_or_default()))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn whoever_creates_runs_may_put_an_input_into_the_bucket_that_is_too_large_for_an_item() {
    let functions = resources("AWS::Serverless::Function");
    let creators = functions_that_call(".create_run(");
    assert!(creators.contains("SweeperFunction"), "{creators:?}");
    for name in creators {
        let variables = &functions[&name]["Environment"]["Variables"];
        let bucket = &variables["LEGWORK_ARTIFACT_BUCKET"];
        assert_eq!(*bucket, json!({ "Ref": "ArtifactBucket" }), "{name}");
        let mut statements = Vec::new();
        maps_with(&functions[&name]["Policies"], "Effect", &mut statements);
        let puts = statements
            .into_iter()
            .any(|statement| list(&statement["Action"]).contains(&&json!("s3:PutObject")));
        assert!(puts, "{name}");
    }
}

#[test]
fn the_api_answers_before_its_function_is_ended_and_before_the_gateway_gives_up() {
    let function = &resources("AWS::Serverless::Function")["ApiFunction"];
    let seconds = function["Timeout"].as_u64();
    let function = Duration::from_secs(seconds.expect("a time-out"));
    assert!(api::ANSWER_WITHIN < function, "{function:?}");
    let integration = &resources("AWS::ApiGatewayV2::Integration")["HttpApiIntegration"];
    let millis = integration["TimeoutInMillis"].as_u64();
    let gateway = Duration::from_millis(millis.expect("a time-out"));
    assert!(function < gateway, "{gateway:?}");
}

#[test]
fn a_sweep_ends_by_itself_before_its_function_is_ended() {
    let function = &resources("AWS::Serverless::Function")["SweeperFunction"];
    let seconds = function["Timeout"].as_u64().expect("a time-out");
    let function = Duration::from_secs(seconds);
    assert!(sweeper::ENDS_WITHIN < function, "{function:?}");
}

#[test]
fn every_function_is_a_package_and_every_package_of_functions_is_one() {
    let code = |function: &Value| {
        function["CodeUri"]
            .as_str()
            .expect("a folder")
            .trim_end_matches('/')
            .to_owned()
    };
    let built: BTreeSet<_> = resources("AWS::Serverless::Function")
        .values()
        .map(code)
        .collect();
    let packages = packages();
    let functions = packages
        .iter()
        .filter(|package| package.folder.starts_with("functions"));
    assert_eq!(
        built,
        functions
            .map(|package| format!("target/lambda/{}", package.name))
            .collect()
    );
}

#[test]
fn the_table_has_a_stream_a_time_to_live_and_a_way_back() {
    for (name, table) in resources("AWS::DynamoDB::Table") {
        assert_eq!(
            table["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES",
            "{name}"
        );
        assert_eq!(
            table["TimeToLiveSpecification"],
            json!({"AttributeName": "ttl", "Enabled": true}),
            "{name}"
        );
        assert_eq!(
            table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true,
            "{name}"
        );
        for index in table["GlobalSecondaryIndexes"]
            .as_array()
            .expect("it has indexes")
        {
            assert_eq!(
                index["Projection"]["ProjectionType"], "KEYS_ONLY",
                "{name}: {index}"
            );
        }
    }
}

#[test]
fn artifacts_expire_and_what_a_run_was_given_and_returned_does_not() {
    let mut expiring = BTreeSet::new();
    for bucket in resources("AWS::S3::Bucket").values() {
        let rules = bucket["LifecycleConfiguration"]["Rules"].as_array();
        for rule in rules.expect("it has rules") {
            if rule.get("ExpirationInDays").is_some() {
                expiring.insert(rule["Prefix"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    // As the store begins the keys of its objects.
    let keys = read("shared/store/src/keys.rs");
    let prefix_of = |function: &str| {
        let (_, rest) = keys.split_once(&format!("fn {function}(")).expect("a key");
        let (_, text) = rest.split_once("format!(").expect("it is built");
        let text = text.split('"').nth(1).expect("of a text");
        text.split('{').next().unwrap_or_default().to_owned()
    };
    assert_eq!(expiring, BTreeSet::from([prefix_of("artifact_object")]));
    let values = prefix_of("value_object");
    assert!(
        !values.is_empty() && expiring.iter().all(|prefix| !values.starts_with(prefix)),
        "{values}"
    );
}

#[test]
fn the_stack_on_one_machine_filters_the_stream_as_the_template_does() {
    let mapping = &resources("AWS::Lambda::EventSourceMapping")["DispatcherStream"];
    let filters = mapping["FilterCriteria"]["Filters"]
        .as_array()
        .expect("it has filters");
    assert_eq!(filters.len(), 1, "the code below compares one");
    let pattern: Value =
        serde_json::from_str(filters[0]["Pattern"].as_str().expect("text")).expect("it is JSON");

    let stream = read("shared/store/src/local/stream.rs");
    let (_, rest) = stream
        .split_once("fn passes_the_filter(")
        .expect("the filter is a function");
    let (function, _) = rest.split_once("\n}").expect("it ends");
    let after = |start: &'static str, end: char| {
        function
            .split(start)
            .skip(1)
            .map(move |part| part.split(end).next().unwrap_or_default())
    };
    let kinds: Vec<_> = after("Some(", ')')
        .flat_map(|kinds| kinds.split('|'))
        .map(|kind| kind.trim().to_uppercase())
        .collect();
    let sort_keys: Vec<_> = after("sk == \"", '"').collect();
    let expected = json!({"eventName": kinds, "dynamodb": {"Keys": {"sk": {"S": sort_keys}}}});
    assert_eq!(pattern, expected);
}

#[test]
fn no_heartbeat_reaches_an_index_or_a_function() {
    let functions: Vec<_> = resources("AWS::Lambda::EventSourceMapping")
        .into_iter()
        .filter(|(_, mapping)| owner_of(&mapping["EventSourceArn"]) == "Table")
        .collect();
    assert!(!functions.is_empty(), "nothing reads the stream");
    for (name, mapping) in functions {
        let filters = mapping["FilterCriteria"]["Filters"].as_array();
        for filter in filters.expect("without a filter, everything passes") {
            let pattern = filter["Pattern"].as_str().expect("text");
            let pattern: Value = serde_json::from_str(pattern).expect("it is JSON");
            let passes = pattern["dynamodb"]["Keys"]["sk"]["S"].as_array();
            let passes = passes.expect("it names the sort keys that pass");
            assert!(!passes.contains(&json!("LEASE")), "{name}");
            // Patterns that are no plain texts could mean any sort key.
            assert!(passes.iter().all(Value::is_string), "{name}");
        }
    }
    // A lease has a key, an attempt and a time; an index takes only items that have its own attributes.
    let leases = read("shared/store/src/leases.rs");
    for table in resources("AWS::DynamoDB::Table").values() {
        let indexes = table["GlobalSecondaryIndexes"].as_array();
        for index in indexes.expect("it has indexes") {
            let partition = index["KeySchema"][0]["AttributeName"].as_str();
            let partition = partition.expect("a name");
            assert!(
                partition != "pk" && !leases.contains(partition),
                "{partition}"
            );
        }
    }
}

#[test]
fn every_setting_in_the_template_is_one_that_platform_reads() {
    let template = template();
    let mut found = Vec::new();
    maps_with(&template, "Variables", &mut found);
    let functions = found
        .into_iter()
        .flat_map(|map| map["Variables"].as_object().expect("a map").keys().cloned());
    let task = &resources("AWS::ECS::TaskDefinition")["RunnerTask"]["ContainerDefinitions"][0]["Environment"];
    let container = task
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["Name"].as_str().expect("a name").to_owned());
    let names: BTreeSet<String> = functions.chain(container).collect();
    assert!(names.len() > 5, "{names:?}");

    let configuration: String = sources("shared/platform/src/configuration")
        .into_iter()
        .map(|source| source.code)
        .collect();
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| !configuration.contains(&format!("\"{name}\"")))
        .collect();
    assert!(unknown.is_empty(), "nobody reads {unknown:?}");
}

#[test]
fn the_greatest_limit_of_concurrent_runs_is_the_greatest_that_the_code_takes() {
    assert_eq!(
        template()["Parameters"]["ConcurrentRuns"]["MaxValue"],
        Resources::MOST_CONCURRENT_RUNS
    );
}

#[test]
fn the_template_is_small_enough_to_be_sent_as_it_is() {
    let bytes = read("template.yaml").len();
    assert!(
        bytes <= 51_200,
        "{bytes} bytes: CloudFormation takes more only from S3"
    );
}
