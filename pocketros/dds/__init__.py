"""The DDS transport: pocketros nodes on the wire, understood by ROS 2 nodes on Cyclone DDS.

Chosen with POCKETROS_TRANSPORT=dds; needs the `cyclonedds` package. What goes over the wire is what
rmw_cyclonedds_cpp sends: its names and types (docs.ros.org, "Topic and Service name mapping to DDS"),
plain XCDR1 payloads, its service header, and the graph on `ros_discovery_info`.

    config      environment variables → Cyclone's XML configuration
    naming      ROS names and types ↔ DDS names
    qos         QoS profiles ↔ DDS QoS
    type_hash   RIHS01 hashes of types (REP-2016)
    capi        the C API, through ctypes
    raw         topics of opaque CDR; samples in and out without copies
    discovery   the remote side of the graph
    endpoints   writers, readers, requesters, servers
    bus         all of it behind pocketros.bus.Bus
"""
