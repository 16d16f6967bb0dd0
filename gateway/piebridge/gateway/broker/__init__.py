"""Redis and Celery behind the gateway's queue: tasks for worker processes, and their answers.

A task only reads chains. It may run any number of times, anywhere, or never: the gateway keeps what is not answered
and puts it in again. Redis is believed in nothing: messages carry a MAC whose key only the gateway and its own workers
have.
"""
