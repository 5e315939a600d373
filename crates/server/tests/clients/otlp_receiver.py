"""Receives the traces of a Starling as any OTLP receiver does.

The gRPC stack is grpcio's, the messages are those that OpenTelemetry publishes
for Python; no code of Starling's is in it. Two users write to each other with
slixmpp, and what arrives must be one trace from edge to edge. The last line is
"N passed, N failed".
"""

import asyncio
import logging
import os
import sys
import traceback
from concurrent import futures

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

from slixmpp_client import DEADLINE_SECONDS, Failed, Person, need

PORT = os.environ["OTLP_PORT"]


class Receiver(service.TraceServiceServicer):
    """Keeps every span, and what was said with it."""

    def __init__(self):
        self.resources, self.spans, self.metadata = [], [], []

    def Export(self, request, context):
        self.metadata.append(dict(context.invocation_metadata()))
        for of_resource in request.resource_spans:
            self.resources.append(values(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                self.spans.extend(of_scope.spans)
        return messages.ExportTraceServiceResponse()


def values(attributes):
    return {one.key: one.value.string_value for one in attributes}


def serve():
    receiver = Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    service.add_TraceServiceServicer_to_server(receiver, server)
    need(server.add_insecure_port(f"127.0.0.1:{PORT}") != 0, f"port {PORT} is taken")
    server.start()
    # One that nobody holds ends.
    receiver.server = server
    return receiver


def ways(spans):
    """For each message: the spans from its beginning to a delivery, if it is there."""
    def below(parent, name, side=None):
        for span in spans:
            if span.parent_span_id == parent.span_id and span.name == name:
                if side is None or values(span.attributes).get("side") == side:
                    return span
        return None

    for receive in spans:
        if receive.name != "receive" or values(receive.attributes).get("kind") != "message":
            continue
        way = [receive]
        for name, side in (("handle", "sender"), ("handle", "recipient"), ("deliver", None)):
            if way[-1] is not None:
                way.append(below(way[-1], name, side))
        if None not in way:
            yield way


async def one_trace_from_edge_to_edge(receiver):
    """a message is one trace: receive, handle, handle, deliver"""
    romeo, juliet = Person("romeo", "r"), Person("juliet", "j")
    await romeo.go_online()
    await juliet.go_online()
    romeo.send_message(mto=juliet.boundjid.bare, mbody="hark", mtype="chat")
    await juliet.messages.take("the message", lambda stanza: stanza["body"] == "hark")
    for _ in range(DEADLINE_SECONDS * 10):
        way = next(ways(list(receiver.spans)), None)
        if way is not None:
            break
        # Spans are sent in batches: this looks again, it does not wait for a time.
        await asyncio.sleep(0.1)
    else:
        raise Failed(f"no such trace among {sorted({span.name for span in receiver.spans})}")
    need(len({span.trace_id for span in way}) == 1, "the spans are of several traces")
    need(len(way[0].trace_id) == 16 and len(way[0].span_id) == 8, "the ids have a wrong length")
    need(not way[0].parent_span_id, "the first span has a parent")
    for earlier, later in zip(way, way[1:]):
        need(earlier.start_time_unix_nano <= later.start_time_unix_nano, "the order is wrong")
    await romeo.leave()
    await juliet.leave()


async def the_service_is_named(receiver):
    """the receiver is told which service and which node it is"""
    for resource in receiver.resources:
        need(resource.get("service.name") == "starling", f"the service is {resource}")
        need(resource.get("service.instance.id"), f"no node in {resource}")
        need(resource.get("service.version"), f"no version in {resource}")


async def nobody_is_named(receiver):
    """no address and no content is in a trace"""
    everything = " ".join(str(span) for span in receiver.spans)
    for word in ("romeo", "juliet", "hark"):
        need(word not in everything, f"{word} is in a trace")


async def run():
    receiver = serve()
    passed = failed = 0
    for check in (one_trace_from_edge_to_edge, the_service_is_named, nobody_is_named):
        try:
            await asyncio.wait_for(check(receiver), DEADLINE_SECONDS * 4)
            passed += 1
            print(f"ok: {check.__doc__}")
        except Exception as error:
            failed += 1
            print(f"FAILED: {check.__doc__}")
            traceback.print_exception(type(error), error, error.__traceback__, file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return failed == 0


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    sys.exit(0 if asyncio.run(run()) else 1)
