"""Which services of a corpus to read: where an installed corpus lies, what kinds of services there are, and a sample."""

from __future__ import annotations

import difflib
import hashlib
import random
import re
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from toolace import InputError

# Primary domains, and what in the short name of a service tells that it belongs there; the first that fits decides.
_KINDS = (
    ("Developer tools", r"^code|^amplify(?!ui)|^devops|^firebase(?!database|storage|data)|^cloudbuild|^cloudshell"),
    ("Networking and delivery", r"^route53|directconnect|interconnect|^network(?!-firewall|-security)|^vpc|^arc-|^cloudfront"),
    ("Health and life science", r"health(?!$)|^health\.|^health$|^omics|genomics|lifesciences|medical|fitness"),
    ("Maps and environment", r"^geo|^location$|^places|^maps|airquality|pollen|solar|travelimpact|groundstation|vectortile|"
                             r"streetview|playablelocations|areainsights|addressvalidation|sustainability"),
    ("Games and media", r"game|^media(?!2)|elemental|^ivs|^youtube|transcoder|video|polly|deadline|^books|^poly$|webfonts"),
    ("Language and speech", r"translate|transcribe|comprehend|^lex|^language|speech|textract|documentai|dialogflow|wisdom|"
                            r"^qconnect|kendra"),
    ("Artificial intelligence", r"bedrock|sagemaker|rekognition|personalize|^forecast|frauddetector|machinelearning|lookout|"
                                r"aiplatform|^vision$|^ml$|^agent|^recommend|braket|discoveryengine|^ces$|qbusiness|^qapps|^nova|"
                                r"voice-id|aiops|hypercompute|^tpu$|deepreview|developerknowledge|datalabeling"),
    ("Internet of things", r"^iot|greengrass|homegraph|smartdevice|cloudiot|sasportal|^snow"),
    ("Education and public life", r"classroom|civicinfo|factcheck|kgsearch|libraryagent|curation"),
    ("Messaging and contact", r"^ses|^sns|^sqs|pinpoint|chime|^connect(?!ion|or|ivity)|sms|email|messaging|mailmessage|gmail|"
                              r"^chat|^fcm|^meet$|contactcenter|notification|wickr|^mq$|^pubsub|workmail|mailmanager|eventbridge"),
    ("Office and productivity", r"^calendar|^drive|^docs$|^sheets|^slides|^forms|^tasks$|^keep$|^people$|workdocs|^workspaces|"
                                r"appstream|^admin\.|^groups|^script$|area120|^vault|blogger|workspaceevents|^licensing|colab|"
                                r"amplifyui"),
    ("Commerce and money", r"billing|cost|^ce$|^cur$|budgets|pricing|invoic|^payment|marketplace|^content$|merchant|wallet|"
                           r"^retail|reseller|purchase|^tax|savings|^bcm|freetier|^partner|cloudchannel|commerce|^css$|readerrev|"
                           r"supplychain|mturk|mybusiness|businessprofile|localservices|^jobs|manufacturers|loyalty"),
    ("Advertising and web", r"^ad(?!min|dress)|dfareporting|displayvideo|doubleclick|customsearch|searchads|searchconsole|"
                            r"^analytics(?!hub)|tagmanager|webmasters|pagespeed|chromeux|^indexing|siteverif|realtimebidding|"
                            r"marketing|customer-profiles|webcontent|ideahub|cleanrooms|entityres|abusive|accelerated|buyers|agencies"),
    ("Databases", r"^rds|dynamo|docdb|neptune|redis|elasticache|memcache|memorydb|^dax|keyspaces|timestream|spanner|^bigtable|"
                  r"firestore|datastore|sql|alloydb|oracledatabase|^odb|^sdb|simpledb|database|firebasedata|^dms|datamigration"),
    ("Storage and backup", r"^s3|storage|backup|glacier|^fsx|^efs|^ebs|^file$|netapp|^drs|datasync|^transfer|^rbin|parallelstore"),
    ("Security and identity", r"^iam|^sso|cognito|guard|secur|inspector|macie|kms|secret|^waf|shield|^acm|certificate|identity|"
                              r"privateca|^pca|publicca|access|detective|^fms|firewall|policy|verified|oslogin|^iap|^dlp|recaptcha|"
                              r"safebrowsing|webrisk|^sts$|^ram$|directory$|^artifact$|audit|^ds|signer|signin|threat|binaryauth|"
                              r"assured|hsm|trust|essential|playintegrity|oauth|^ids$|cloudasset|^mpa|rolesanywhere|acmedns"),
    ("Analytics and data", r"athena|^glue|^emr|redshift|kinesis|quicksight|^data|bigquery|biglake|lakeformation|firehose|kafka|"
                           r"search|^es$|looker|metastore|composer|mwaa|appflow|analytics|lineage"),
    ("Networking and delivery", r"network|^elb|apigateway|globalaccel|^dns|domains|mesh|traffic|servicedirectory|"
                                r"servicediscovery|rtbfabric|beyondcorp|apigee|apihub"),
    ("Compute and containers", r"^ec2|lambda|^ecs|^eks|^ecr|^batch|compute|container|^run$|functions|appengine|^gke|autoscaling|"
                               r"lightsail|beanstalk|apprunner|outposts|baremetal|vmware|^evs|workstations|serverless|^pcs|"
                               r"imagebuilder|cloud9|notebooks|^m2$"),
    ("Developer tools", r"code|build|deploy|xray|^fis$|android|play|testing|toolresults|sourcerepo|artifact|repo|proton|"
                        r"devicefarm|schemas|synthetics|^rum$|appconfig|trace|profiler|debugger|errorreport|workflow|"
                        r"stepfunctions|^swf|scheduler|integrations|connectors|chrome|checks|^discovery$|apikeys|blockchain"),
    ("Migration", r"migration|^mgh|^mgn|import|rapid"),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
OTHER = "Cloud operations"


def kind_of(service: str) -> str:
    """The primary domain of a service, from its short name."""
    return next((kind for kind, pattern in _COMPILED if pattern.search(service)), OTHER)


def is_dotted(service: str) -> bool:
    """Whether names of a service's operations are written `service.operation`: half of the services, always the same."""
    return hashlib.sha256(service.encode()).digest()[0] % 2 == 0


def package_folder(module: str, inside: str, package: str) -> tuple[Path, str]:
    """(folder inside an installed package, its version), without importing it.

    Raises:
        InputError: the package is not installed.
    """
    spec = find_spec(module)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / inside
        if folder.is_dir():
            return folder, version(package)
    fix = "Install the document corpora: pip install 'toolace[documents]'."
    raise InputError(f"the package {package} is not installed, so its API documents cannot be read", fix=fix)


def choose(known: Sequence[str], services: Sequence[str] | int | None, seed: int, corpus: str) -> list[str]:
    """The services to read, in alphabetical order.

    Args:
        known: all services of the corpus.
        services: names; or how many, drawn so that as many kinds as possible take part; or None for all.
        seed: decides the draw.
        corpus: its name, for errors.

    Raises:
        InputError: a name that the corpus does not have.
    """
    if services is None:
        return sorted(known)
    if isinstance(services, int):
        if services < 0:
            raise InputError(f"{services} services of {corpus} are asked for", fix="Give a count of 0 or more.")
        return sorted(_sample(sorted(known), services, random.Random(f"{corpus} {seed}")))
    for name in services:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"{corpus} has no service {name!r}", fix=f"Did you mean {near[0]!r}?" if near else "Check the name."
            )
    return sorted(set(services))


def _sample(known: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """Takes one service of each kind in turn, kinds and services in drawn order."""
    by_kind: dict[str, list[str]] = {}
    for service in known:
        by_kind.setdefault(kind_of(service), []).append(service)
    kinds = sorted(by_kind)
    rng.shuffle(kinds)
    for kind in kinds:
        rng.shuffle(by_kind[kind])
    chosen: list[str] = []
    while len(chosen) < min(count, len(known)):
        for kind in kinds:
            if by_kind[kind] and len(chosen) < count:
                chosen.append(by_kind[kind].pop())
    return chosen
