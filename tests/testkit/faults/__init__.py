"""Faults that tests inject: at named steps, at system calls, in connections, on disks, in clocks."""
