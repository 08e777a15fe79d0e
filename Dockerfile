# Airflow with Bellwether in it, for docker-compose.yaml: the official image brings the database drivers, the lock brings
# the versions that the tests run with.
FROM apache/airflow:3.3.2-python3.12

USER root
# Volumes take their owner from the image.
RUN install -d -o airflow -g 0 /opt/bellwether /var/lib/bellwether /var/lib/access
USER airflow
WORKDIR /opt/bellwether

COPY --chown=airflow:0 requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY --chown=airflow:0 . .
# Editable, as everywhere: configuration and pools are looked for beside the library.
RUN pip install --no-cache-dir --no-deps --editable .

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/bellwether/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/bellwether/plugins \
    BELLWETHER_CONFIG_DIR=/opt/bellwether/config
